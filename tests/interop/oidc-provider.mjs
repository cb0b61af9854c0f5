// oidc-provider (certified by the OpenID Foundation) with one client, the hub: node oidc-provider.mjs
// FOLDER PORT SECRET REDIRECT. Its own development pages sign people in: the login is the subject.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [folder, port, secret, redirect] = process.argv.slice(2);
const require = createRequire(pathToFileURL(folder + '/'));
const { default: Provider } = await import(pathToFileURL(require.resolve('oidc-provider')));

const issuer = `http://127.0.0.1:${port}`;
const provider = new Provider(issuer, {
  clients: [{
    client_id: 'hub', client_secret: secret, redirect_uris: [redirect],
    grant_types: ['authorization_code', 'refresh_token'],
  }],
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  rotateRefreshToken: true,
  features: { devInteractions: { enabled: true }, revocation: { enabled: true } },
  findAccount: (ctx, sub) => ({
    accountId: sub,
    claims: () => ({ sub, name: `Person ${sub}`, email: `${sub}@example.com`, email_verified: true }),
  }),
});
provider.listen(Number(port), '127.0.0.1');
