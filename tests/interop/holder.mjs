// Holds a session open with the official SDK and uses it once a second.
//   node holder.mjs KIND MODULES URL SECONDS      KIND: v1, v1-sse, v2
// Prints JSON: calls that came back right, calls that did not, and the result of a long call made at once.
import { pathToFileURL } from 'node:url';

const [kind, modules, url, seconds] = process.argv.slice(2);
const at = (path) => import(pathToFileURL(`${modules}/node_modules/@modelcontextprotocol/${path}`));
const load = {
  v1: async () => ({ ...(await at('sdk/dist/esm/client/index.js')),
    Transport: (await at('sdk/dist/esm/client/streamableHttp.js')).StreamableHTTPClientTransport }),
  'v1-sse': async () => ({ ...(await at('sdk/dist/esm/client/index.js')),
    Transport: (await at('sdk/dist/esm/client/sse.js')).SSEClientTransport }),
  v2: async () => { const all = await at('client/dist/index.mjs');
    return { Client: all.Client, Transport: all.StreamableHTTPClientTransport }; },
};
const { Client, Transport } = await load[kind]();
const client = new Client({ name: 'holder', version: '1' }, { capabilities: {} });
await client.connect(new Transport(new URL(url)));
const said = { right: 0, wrong: [], long: null };
const long = client.callTool({ name: 'trigger-long-running-operation', arguments: { duration: Number(seconds) - 4, steps: 2 } })
  .then((r) => { said.long = r.content[0].text; }, (e) => { said.wrong.push(`long: ${e}`); });
for (let i = 0; i < Number(seconds); i++) {
  await new Promise((done) => setTimeout(done, 1000));
  try {
    const r = await client.callTool({ name: 'echo', arguments: { message: `n${i}` } });
    r.content[0].text.includes(`n${i}`) ? said.right++ : said.wrong.push(r);
  } catch (e) { said.wrong.push(`${i}: ${e}`); }
}
await long;
console.log(JSON.stringify(said));
process.exit(0);
