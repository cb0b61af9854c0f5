// Adds a bearer token to every request to one origin, because the conformance suite's server mode
// cannot send one: node --import inject-preload.mjs, with MCP_INJECT_ORIGIN and MCP_INJECT_BEARER.
import http from 'node:http';

const origin = process.env.MCP_INJECT_ORIGIN, token = process.env.MCP_INJECT_BEARER;
if (!origin || !token) throw new Error('MCP_INJECT_ORIGIN and MCP_INJECT_BEARER must be set');

const fetch = globalThis.fetch;
globalThis.fetch = (input, init) => {
  const request = new Request(input, init);
  if (new URL(request.url).origin === origin) request.headers.set('authorization', `Bearer ${token}`);
  return fetch(request);
};

for (const name of ['request', 'get']) {
  const plain = http[name];
  http[name] = function (...args) {
    const made = plain.apply(this, args);
    if (`http://${made.getHeader('host')}` === origin || `http://${made.host}:${args[0]?.port}` === origin)
      made.setHeader('Authorization', `Bearer ${token}`);
    return made;
  };
}
