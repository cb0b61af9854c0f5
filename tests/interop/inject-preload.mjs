// Adds a bearer token to every request to one origin, because the conformance suite's server mode
// cannot send one: node --import inject-preload.mjs, with MCP_INJECT_ORIGIN and MCP_INJECT_BEARER, or
// MCP_INJECT_FILE: a file that holds the token of the moment.
// The suite uses fetch, undici and node:http, which all tell of a request before they send it.
import { subscribe } from 'node:diagnostics_channel';
import { readFileSync } from 'node:fs';

const origin = process.env.MCP_INJECT_ORIGIN, fixed = process.env.MCP_INJECT_BEARER, file = process.env.MCP_INJECT_FILE;
if (!origin || !(fixed || file)) throw new Error('MCP_INJECT_ORIGIN and MCP_INJECT_BEARER must be set');
const token = () => fixed ?? readFileSync(file, 'utf8').trim();

subscribe('undici:request:create', ({ request }) => {
  if (String(request.origin) === origin) request.addHeader('authorization', `Bearer ${token()}`);
});
subscribe('http.client.request.created', ({ request }) => {
  if (`http://${request.getHeader('host')}` === origin) request.setHeader('Authorization', `Bearer ${token()}`);
});
