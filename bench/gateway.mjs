// What a TypeScript user would write as a gateway: express, the official SDK's requireBearerAuth over
// jose, undici to the upstream.
//   node gateway.mjs MODULES PORT UPSTREAM-PORT JWKS ISSUER AUDIENCE
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [modules, port, upstream, jwks, issuer, audience] = process.argv.slice(2);
const require = createRequire(pathToFileURL(`${modules}/package.json`));
const express = require('express');
const { Pool } = require('undici');
const { createLocalJWKSet, jwtVerify } = await import(pathToFileURL(`${modules}/node_modules/jose/dist/webapi/index.js`));
const { requireBearerAuth } = require('@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js');
const { InvalidTokenError } = require('@modelcontextprotocol/sdk/server/auth/errors.js');

const keys = createLocalJWKSet(JSON.parse(readFileSync(jwks)));
const pool = new Pool(`http://127.0.0.1:${upstream}`, { connections: 256, pipelining: 1 });
const verifier = {
  async verifyAccessToken(token) {
    try {
      const { payload } = await jwtVerify(token, keys, { issuer, audience, algorithms: ['RS256'] });
      return { token, clientId: payload.client_id, scopes: payload.scope.split(' '), expiresAt: payload.exp };
    } catch (e) {
      throw new InvalidTokenError(e.message);
    }
  },
};

const app = express();
app.disable('x-powered-by');
app.disable('etag');
app.post('/mcp', requireBearerAuth({ verifier, requiredScopes: ['mcp:tools'] }), express.json({ limit: '1mb' }),
  async (req, res) => {
    const reply = await pool.request({
      path: req.url, method: 'POST', body: JSON.stringify(req.body),
      headers: { 'content-type': 'application/json', accept: req.headers.accept },
    });
    res.status(reply.statusCode);
    for (const name of ['content-type', 'content-length']) if (reply.headers[name]) res.setHeader(name, reply.headers[name]);
    for await (const part of reply.body) if (!res.write(part)) await once(res, 'drain');
    res.end();
  });
app.listen(Number(port), '127.0.0.1');
