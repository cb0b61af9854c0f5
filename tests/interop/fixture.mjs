// The MCP server that the conformance suite's server scenarios ask for, on the official SDK: both
// protocol eras on /mcp, on 127.0.0.1. It validates neither Host nor Origin, so that a check which
// passes through the hub and fails here shows what the hub adds.
//   node fixture.mjs MODULES PORT-FILE      (MODULES: the folder with node_modules; LAX=1: see below)
import { createServer } from 'node:http';
import { randomBytes, randomUUID } from 'node:crypto';
import { renameSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';

const [modules, portFile] = process.argv.slice(2);
const load = (name) => import(pathToFileURL(`${modules}/node_modules/@modelcontextprotocol/${name}/dist/index.mjs`));
const {
  McpServer, ResourceTemplate, WebStandardStreamableHTTPServerTransport,
  acceptedContent, completable, createMcpHandler, createRequestStateCodec, fromJsonSchema, inputRequired,
  inputResponse, isLegacyRequest, CLIENT_CAPABILITIES_META_KEY,
} = await load('server');
const { toNodeHandler } = await load('node');

const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg==';
const WAV = 'UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAAAAA==';
const text = (t) => ({ content: [{ type: 'text', text: t }] });
const object = (properties = {}, required = []) => ({ type: 'object', properties, required });
const string = (description) => (description ? { type: 'string', description } : { type: 'string' });
const codec = createRequestStateCodec({ key: randomBytes(32) });

// The richest schema that the suite looks for: nothing of it may be lost on the way.
const RICH = {
  $schema: 'https://json-schema.org/draft/2020-12/schema', type: 'object',
  $defs: { address: { $anchor: 'addressDef', type: 'object', properties: { street: string(), city: string() } } },
  properties: {
    name: string(), address: { $ref: '#/$defs/address' }, phone: string(), email: string(),
    contactMethod: { type: 'string', enum: ['phone', 'email'] },
  },
  allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
  if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
  then: { required: ['phone'] }, else: { required: ['email'] }, additionalProperties: false,
};

const DEFAULTS = object({
  name: { type: 'string', default: 'John Doe' }, age: { type: 'integer', default: 30 },
  score: { type: 'number', default: 95.5 }, verified: { type: 'boolean', default: true },
  status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
});
const options = ['option1', 'option2', 'option3'];
const titled = (word) => [1, 2, 3].map((n) => ({ const: `value${n}`, title: `${['First', 'Second', 'Third'][n - 1]} ${word}` }));
const ENUMS = object({
  untitledSingle: { type: 'string', enum: options },
  titledSingle: { type: 'string', oneOf: titled('Option') },
  legacyEnum: { type: 'string', enum: ['opt1', 'opt2', 'opt3'], enumNames: ['Option One', 'Option Two', 'Option Three'] },
  untitledMulti: { type: 'array', items: { type: 'string', enum: options } },
  titledMulti: { type: 'array', items: { anyOf: titled('Choice') } },
});

const elicit = (message, field, type = 'string') =>
  inputRequired.elicit({ message, requestedSchema: object({ [field]: { type } }, [field]) });
const sample = (words, maxTokens) => inputRequired.createMessage({
  messages: [{ role: 'user', content: { type: 'text', text: words } }], maxTokens,
});
const answers = (ctx) => ctx.mcpReq.inputResponses;

// --- tools: name, description, input schema or null, what it does with (arguments, context) -----------

const plain = [
  ['test_simple_text', 'Returns text', null, () => text('This is a simple text response for testing.')],
  ['test_image_content', 'Returns an image', null, () => ({ content: [{ type: 'image', data: PNG, mimeType: 'image/png' }] })],
  ['test_audio_content', 'Returns audio', null, () => ({ content: [{ type: 'audio', data: WAV, mimeType: 'audio/wav' }] })],
  ['test_embedded_resource', 'Returns a resource', null, () => ({
    content: [{ type: 'resource', resource: { uri: 'test://embedded-resource', mimeType: 'text/plain', text: 'This is an embedded resource content.' } }],
  })],
  ['test_multiple_content_types', 'Returns several kinds of content', null, () => ({
    content: [
      { type: 'text', text: 'Multiple content types test:' },
      { type: 'image', data: PNG, mimeType: 'image/png' },
      { type: 'resource', resource: { uri: 'test://mixed-content-resource', mimeType: 'application/json', text: '{"test":"data","value":123}' } },
    ],
  })],
  ['test_error_handling', 'Always fails', null, () => { throw new Error('This tool intentionally returns an error for testing'); }],
  ['json_schema_2020_12_tool', 'Has an input schema of many keywords', RICH, (a) => text(`got ${JSON.stringify(a)}`)],
  ['test_x_mcp_header', 'Mirrors a parameter in a header', object({ region: { type: 'string', 'x-mcp-header': 'Region' } }),
    (a) => text(`region: ${a.region ?? 'none'}`)],
];

const progress = (ctx, n) => {
  const token = ctx.mcpReq._meta?.progressToken;
  return token === undefined ? undefined
    : ctx.mcpReq.notify({ method: 'notifications/progress', params: { progressToken: token, progress: n, total: 100 } });
};

const streaming = [
  ['test_tool_with_logging', 'Logs while it runs', null, async (ctx) => {
    await ctx.mcpReq.log('info', 'Tool execution started');
    await sleep(50);
    await ctx.mcpReq.log('info', 'Tool processing data');
    await sleep(50);
    await ctx.mcpReq.log('info', 'Tool execution completed');
    return text('Logged three times.');
  }],
  ['test_logging_tool', 'Logs once, where the caller wants it', null, async (ctx) => {
    await ctx.mcpReq.log('info', 'a line of log');
    return text('Logged.');
  }],
  ['test_tool_with_progress', 'Reports progress', null, async (ctx) => {
    await progress(ctx, 0);
    await sleep(50);
    await progress(ctx, 50);
    await sleep(50);
    await progress(ctx, 100);
    return text('Done with progress.');
  }],
  ['test_reconnection', 'Ends its stream before it answers', null, async (ctx) => {
    ctx.http?.closeSSE?.();
    await sleep(100);
    return text('Answered after the stream had ended.');
  }],
];

// Questions go out on the stream of the call that they belong to: the standing stream of a client may
// not be there yet, for a client opens it beside its first call.
const ask = (ctx, method, params) => ctx.mcpReq.send({ method, params });

const asking = [
  ['test_sampling', 'Asks the client for a completion', object({ prompt: string() }, ['prompt']), async ({ prompt }, ctx) => {
    const r = await ask(ctx, 'sampling/createMessage', { messages: [{ role: 'user', content: { type: 'text', text: prompt } }], maxTokens: 100 });
    return text(`LLM response: ${r.content.text}`);
  }],
  ['test_elicitation', 'Asks the user', object({ message: string() }, ['message']), async ({ message }, ctx) => {
    const r = await ask(ctx, 'elicitation/create', {
      message, requestedSchema: object({ username: string("User's response"), email: string("User's email address") }, ['username', 'email']),
    });
    return text(`User response: ${JSON.stringify(r)}`);
  }],
  ...[['test_elicitation_sep1034_defaults', DEFAULTS], ['test_elicitation_sep1330_enums', ENUMS]].map(([name, schema]) =>
    [name, 'Asks with a schema', null, async (ctx) => {
      const r = await ask(ctx, 'elicitation/create', { message: 'Please fill in the form', requestedSchema: schema });
      return text(`Elicitation completed: action=${r.action}, content=${JSON.stringify(r.content ?? {})}`);
    }]),
];

const name = () => elicit('What is your name?', 'name');

const rounds = [
  // The SDK itself refuses a question that the client has not declared to be able to answer.
  ['test_missing_capability', 'Needs sampling', (ctx) => (answers(ctx) ? text('The capability is there.')
    : inputRequired({ inputRequests: { capital_question: sample('What is the capital of France?', 100) } }))],
  ['test_streaming_elicitation', 'Notifies, then asks', async (ctx) => {
    await progress(ctx, 10);
    const got = acceptedContent(answers(ctx), 'user_name');
    return got ? text(`Hello, ${got.name}!`) : inputRequired({ inputRequests: { user_name: name() } });
  }],
  ['test_input_required_result_elicitation', 'Asks for a name', (ctx) => {
    const got = acceptedContent(answers(ctx), 'user_name');
    return typeof got?.name === 'string' ? text(`Hello, ${got.name}!`) : inputRequired({ inputRequests: { user_name: name() } });
  }],
  ['test_input_required_result_sampling', 'Asks for a completion', (ctx) => {
    const got = inputResponse(answers(ctx), 'capital_question');
    return got.kind === 'sampling' ? text(`The model said: ${JSON.stringify(got.result.content)}`)
      : inputRequired({ inputRequests: { capital_question: sample('What is the capital of France?', 100) } });
  }],
  ['test_input_required_result_list_roots', 'Asks for roots', (ctx) => {
    const got = inputResponse(answers(ctx), 'client_roots');
    return got.kind === 'roots' ? text(`Roots: ${got.roots.map((r) => r.uri).join(', ')}`)
      : inputRequired({ inputRequests: { client_roots: inputRequired.listRoots() } });
  }],
  ['test_input_required_result_request_state', 'Keeps state with the client', async (ctx) => {
    const got = acceptedContent(answers(ctx), 'confirm');
    if (got && ctx.mcpReq.requestState()?.step === 1) return text('state-ok');
    return inputRequired({ inputRequests: { confirm: elicit('Please confirm', 'ok', 'boolean') }, requestState: await codec.mint({ step: 1 }) });
  }],
  ['test_input_required_result_tampered_state', 'Keeps state that must not be changed', async (ctx) => {
    if (ctx.mcpReq.requestState()?.step === 1) return text('state-ok');
    return inputRequired({ inputRequests: { confirm: elicit('Please confirm', 'ok', 'boolean') }, requestState: await codec.mint({ step: 1 }) });
  }],
  ['test_input_required_result_multiple_inputs', 'Asks three things at once', async (ctx) => {
    const a = answers(ctx);
    if (a?.user_name && a?.greeting && a?.client_roots) return text('All three answers came.');
    return inputRequired({
      inputRequests: { user_name: name(), greeting: sample('Generate a greeting', 50), client_roots: inputRequired.listRoots() },
      requestState: await codec.mint({ step: 1 }),
    });
  }],
  ['test_input_required_result_multi_round', 'Asks twice', async (ctx) => {
    const step = ctx.mcpReq.requestState()?.step ?? 0;
    if (step === 2 && answers(ctx)?.step2) return text('Both rounds are over.');
    if (step === 1 && answers(ctx)?.step1)
      return inputRequired({ inputRequests: { step2: elicit('Step 2: What is your favorite color?', 'color') }, requestState: await codec.mint({ step: 2 }) });
    return inputRequired({ inputRequests: { step1: elicit('Step 1: What is your name?', 'name') }, requestState: await codec.mint({ step: 1 }) });
  }],
  ['test_input_required_result_capabilities', 'Asks only for what the client can do', (ctx) => {
    const declared = ctx.mcpReq.envelope?.[CLIENT_CAPABILITIES_META_KEY] ?? {};
    if (answers(ctx)) return text('Thanks.');
    const inputRequests = {};
    if (declared.elicitation) inputRequests.user_name = name();
    if (declared.sampling) inputRequests.capital_question = sample('What is the capital of France?', 100);
    return Object.keys(inputRequests).length ? inputRequired({ inputRequests }) : text('There is nothing to ask this client.');
  }],
  ['test_trigger_tool_change', 'Says that the list of tools has changed', () => { handler.notify.toolsChanged(); return text('Said.'); }],
  ['test_trigger_prompt_change', 'Says that the list of prompts has changed', () => { handler.notify.promptsChanged(); return text('Said.'); }],
];

// --- resources and prompts ----------------------------------------------------------------------------

function addResources(server) {
  const fixed = (uri, description, mimeType, content) => server.registerResource(
    uri.slice('test://'.length), uri, { description, mimeType }, () => ({ contents: [{ uri, mimeType, ...content }] }));
  fixed('test://static-text', 'A text', 'text/plain', { text: 'This is the content of the static text resource.' });
  fixed('test://static-binary', 'An image', 'image/png', { blob: PNG });
  fixed('test://watched-resource', 'One to subscribe to', 'text/plain', { text: 'Watched.' });
  server.registerResource('template', new ResourceTemplate('test://template/{id}/data', { list: undefined }),
    { description: 'Data by id', mimeType: 'application/json' },
    (uri, { id }) => ({
      contents: [{ uri: uri.href, mimeType: 'application/json', text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }) }],
    }));
}

function addPrompts(server) {
  const said = (...contents) => ({ messages: contents.map((content) => ({ role: 'user', content })) });
  const words = (t) => ({ type: 'text', text: t });
  const args = (o) => fromJsonSchema(o);
  server.registerPrompt('test_simple_prompt', { description: 'Simple' }, () => said(words('This is a simple prompt for testing.')));
  server.registerPrompt('test_prompt_with_arguments',
    { description: 'With arguments', argsSchema: args(object({ arg1: string('First test argument'), arg2: string('Second test argument') }, ['arg1', 'arg2'])) },
    ({ arg1, arg2 }) => said(words(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)));
  server.registerPrompt('test_prompt_with_embedded_resource',
    { description: 'With a resource', argsSchema: args(object({ resourceUri: string('URI of the resource to embed') }, ['resourceUri'])) },
    ({ resourceUri }) => said(
      { type: 'resource', resource: { uri: resourceUri, mimeType: 'text/plain', text: 'Embedded resource content for testing.' } },
      words('Please process the embedded resource above.')));
  server.registerPrompt('test_prompt_with_image', { description: 'With an image' },
    () => said({ type: 'image', data: PNG, mimeType: 'image/png' }, words('Please analyze the image above.')));
  server.registerPrompt('test_input_required_result_prompt', { description: 'Asks first' }, (ctx) => {
    const got = acceptedContent(answers(ctx), 'user_context');
    return got ? said(words(`The context is: ${got.context}`))
      : inputRequired({ inputRequests: { user_context: elicit('What context should the prompt use?', 'context') } });
  });
}

function makeServer({ era }) {
  const server = new McpServer({ name: 'conformance-fixture', version: '1.0.0' }, {
    capabilities: {
      tools: { listChanged: true }, prompts: { listChanged: true }, resources: { subscribe: true, listChanged: true },
      logging: {}, completions: {},
    },
    requestState: { verify: codec.verify },
  });
  const tools = [...plain, ...streaming, ...asking, ...rounds.map(([n, d, run]) => [n, d, null, run])];
  for (const [n, description, schema, run] of tools)
    server.registerTool(n, schema ? { description, inputSchema: fromJsonSchema(schema) } : { description }, run);
  addResources(server);
  addPrompts(server);
  server.server.setRequestHandler('completion/complete', () => ({ completion: { values: ['paris', 'park', 'party'], total: 3, hasMore: false } }));
  if (era === 'legacy')
    for (const method of ['resources/subscribe', 'resources/unsubscribe']) server.server.setRequestHandler(method, () => ({}));
  return server;
}

// --- the two eras ---------------------------------------------------------------------------------------

const handler = createMcpHandler(makeServer, { legacy: 'reject' });

// Events of the sessions of the older era, so that a client can come back for what it missed.
class Events {
  #all = [];
  async storeEvent(stream, message) {
    this.#all.push({ stream, message });
    return String(this.#all.length);
  }
  async getStreamIdForEventId(id) { return this.#all[Number(id) - 1]?.stream; }
  async replayEventsAfter(id, { send }) {
    const stream = await this.getStreamIdForEventId(id);
    for (let n = Number(id); n < this.#all.length; n++)
      if (this.#all[n].stream === stream) await send(String(n + 1), this.#all[n].message);
    return stream;
  }
}

const sessions = new Map();
const refuse = (status, code, message) => Response.json({ jsonrpc: '2.0', error: { code, message }, id: null }, { status });

async function legacy(request) {
  const id = request.headers.get('mcp-session-id');
  if (id) return sessions.get(id)?.handleRequest(request) ?? refuse(404, -32001, 'Session not found');
  if (request.method !== 'POST') return refuse(400, -32000, 'There is no session');
  const transport = new WebStandardStreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID, eventStore: new Events(), retryInterval: 100,
    onsessioninitialized: (sid) => { sessions.set(sid, transport); },
    onsessionclosed: (sid) => { sessions.delete(sid); },
  });
  await makeServer({ era: 'legacy' }).connect(transport);
  return transport.handleRequest(request);
}

// LAX=1: a server that looks at the body alone. Its routing headers are made to fit, whatever came.
async function fitted(request) {
  if (request.method !== 'POST') return request;
  const body = await request.text(), headers = new Headers(request.headers);
  let params, method;
  try { ({ params, method } = JSON.parse(body)); } catch { return new Request(request.url, { method: 'POST', headers, body }); }
  const version = params?._meta?.['io.modelcontextprotocol/protocolVersion'], name = params?.name ?? params?.uri;
  if (version) headers.set('mcp-protocol-version', version);
  if (version) headers.set('mcp-method', method);
  if (version && name) headers.set('mcp-name', name);
  return new Request(request.url, { method: 'POST', headers, body, signal: request.signal });
}

const answer = async (request) => ((await isLegacyRequest(request)) ? legacy(request) : handler.fetch(request));
const both = { fetch: process.env.LAX ? async (request) => answer(await fitted(request)) : answer };
const web = toNodeHandler(both);
const http = createServer((req, res) => {
  if (req.url.split('?')[0] !== '/mcp') res.writeHead(404).end();
  else web(req, res);
});
http.listen(0, '127.0.0.1', () => {
  writeFileSync(`${portFile}.new`, `${http.address().port}\n`);
  renameSync(`${portFile}.new`, portFile);
});
process.on('SIGTERM', () => process.exit(0));
