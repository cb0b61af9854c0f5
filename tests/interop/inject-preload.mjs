// Adds a bearer token to every request to one origin, because the conformance suite's server mode
// cannot send one: node --import inject-preload.mjs, with MCP_INJECT_ORIGIN and MCP_INJECT_BEARER.
// The suite uses fetch, undici and node:http, which all tell of a request before they send it.
import { subscribe } from 'node:diagnostics_channel';

const origin = process.env.MCP_INJECT_ORIGIN, token = process.env.MCP_INJECT_BEARER;
if (!origin || !token) throw new Error('MCP_INJECT_ORIGIN and MCP_INJECT_BEARER must be set');

subscribe('undici:request:create', ({ request }) => {
  if (String(request.origin) === origin) request.addHeader('authorization', `Bearer ${token}`);
});
subscribe('http.client.request.created', ({ request }) => {
  if (`http://${request.getHeader('host')}` === origin) request.setHeader('Authorization', `Bearer ${token}`);
});
