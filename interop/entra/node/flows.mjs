// MSAL for Node and @azure/identity through every flow, against the Entra that the environment names. It speaks with the
// test in lines of JSON: what a person has to do ("open" an address, "approve" a device code), and what came of it.
import http from 'node:http';
import process from 'node:process';
import { readFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import * as msal from '@azure/msal-node';
import { ClientSecretCredential, ClientCertificateCredential, DeviceCodeCredential, OnBehalfOfCredential } from '@azure/identity';

const env = JSON.parse(process.env.FLOWS);
const say = (line) => process.stdout.write(JSON.stringify(line) + '\n');
const host = new URL(env.url).host;
const graph = 'https://graph.microsoft.com/.default';
const search = 'https://search.azure.com/.default';
const execute = `api://${env.api}/execute`;
const auth = (clientId, more) => ({ auth: { clientId, authority: env.authority, knownAuthorities: [host], ...more } });
const claimsOf = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString());

// policy has a policy hold, and waits until it does: a line comes back.
async function policy(name) {
  const held = new Promise((done) => process.stdin.once('data', done));
  process.stdin.resume();
  say({ policy: name });
  await held;
  process.stdin.pause();
}

async function flow(name, run) {
  try {
    say({ done: name, claims: await run() });
  } catch (e) {
    say({ done: name, error: String(e.errorCode ?? e.name) + ': ' + e.message, claims: null });
  }
}

// A web server of the application's own, which waits for the person to come back, by GET or by form_post.
function callback() {
  return new Promise((ready) => {
    let arrived;
    const result = new Promise((resolve) => { arrived = resolve; });
    const server = http.createServer((request, response) => {
      let body = '';
      request.on('data', (chunk) => { body += chunk; });
      request.on('end', () => {
        response.end('You may close this window.');
        server.close();
        const sent = request.method === 'POST' ? body : new URL(request.url, 'http://localhost').search;
        arrived({ method: request.method, ...Object.fromEntries(new URLSearchParams(sent)) });
      });
    }).listen(0, 'localhost', () => ready({ uri: `http://localhost:${server.address().port}`, result }));
  });
}

const device = (code) => say({ approve: code.userCode ?? code.user_code, as: 'alice' });

// Public client: device code, then silently from the cache and by the refresh token.
const pca = new msal.PublicClientApplication(auth(env.webClient));
let person;
await flow('device code', async () => {
  person = await pca.acquireTokenByDeviceCode({ scopes: [execute], deviceCodeCallback: device });
  return claimsOf(person.accessToken);
});
await flow('silent', async () => {
  const account = (await pca.getTokenCache().getAllAccounts())[0];
  const cached = await pca.acquireTokenSilent({ scopes: [execute], account });
  if (!cached.fromCache) throw new Error('not from the cache');
  const fresh = await pca.acquireTokenSilent({ scopes: [execute], account, forceRefresh: true });
  if (fresh.fromCache || fresh.accessToken === cached.accessToken) throw new Error('not refreshed');
  return claimsOf(fresh.accessToken);
});
await flow('silent for another resource', async () => {
  const account = (await pca.getTokenCache().getAllAccounts())[0];
  return claimsOf((await pca.acquireTokenSilent({ scopes: ['https://graph.microsoft.com/User.Read'], account })).accessToken);
});

// Authorization code with PKCE, back by form_post, and by query as the interactive flow does it.
await flow('code by form_post', async () => {
  const app = new msal.PublicClientApplication(auth(env.webClient));
  const { verifier, challenge } = await new msal.CryptoProvider().generatePkceCodes();
  const { uri, result } = await callback();
  const request = { scopes: [execute], redirectUri: uri };
  say({ open: await app.getAuthCodeUrl({ ...request, responseMode: 'form_post', codeChallenge: challenge, codeChallengeMethod: 'S256', state: 'x y' }), as: 'alice' });
  const back = await result;
  if (back.method !== 'POST' || back.state !== 'x y') throw new Error('came back as ' + JSON.stringify(back));
  return claimsOf((await app.acquireTokenByCode({ ...request, code: back.code, codeVerifier: verifier })).accessToken);
});
await flow('interactive', async () => {
  const app = new msal.PublicClientApplication(auth(env.webClient));
  return claimsOf((await app.acquireTokenInteractive({ scopes: [execute], openBrowser: async (url) => say({ open: url, as: 'alice' }) })).accessToken);
});

// Confidential client: on behalf of the person, and as itself; by secret and by certificate.
const certificate = {
  privateKey: readFileSync(env.key, 'utf8'),
  thumbprintSha256: createHash('sha256').update(Buffer.from(env.certificate, 'base64')).digest('hex'),
};
const apps = {
  secret: new msal.ConfidentialClientApplication(auth(env.api, { clientSecret: env.secret })),
  certificate: new msal.ConfidentialClientApplication(auth(env.api, { clientCertificate: certificate })),
};
for (const [credential, app] of Object.entries(apps)) {
  await flow('on behalf of, ' + credential, async () => claimsOf((await app.acquireTokenOnBehalfOf({ oboAssertion: person.accessToken, scopes: [search] })).accessToken));
  await flow('client credentials, ' + credential, async () => claimsOf((await app.acquireTokenByClientCredential({ scopes: [graph] })).accessToken));
}

// A claims challenge: the exchange is refused, the person signs in again with the claims, the exchange succeeds.
await flow('claims challenge', async () => {
  await policy('mfa');
  let challenge;
  try {
    await apps.secret.acquireTokenOnBehalfOf({ oboAssertion: person.accessToken, scopes: [search], skipCache: true });
  } catch (e) {
    challenge = e.claims;
    if (!(e instanceof msal.InteractionRequiredAuthError) && !/50076/.test(e.message)) throw e;
  }
  if (!challenge) throw new Error('no claims came with the refusal');
  const again = await pca.acquireTokenByDeviceCode({ scopes: [execute], deviceCodeCallback: device, claims: challenge });
  return claimsOf((await apps.secret.acquireTokenOnBehalfOf({ oboAssertion: again.accessToken, scopes: [search] })).accessToken);
});
await policy('');

// @azure/identity, which wraps MSAL in its own way.
const options = { authorityHost: env.url, disableInstanceDiscovery: true };
const tokenOf = async (credential, scope) => claimsOf((await credential.getToken(scope)).token);
await flow('identity: device code', () => tokenOf(new DeviceCodeCredential({ ...options, tenantId: env.tenant, clientId: env.webClient, userPromptCallback: device }), execute));
await flow('identity: client secret', () => tokenOf(new ClientSecretCredential(env.tenant, env.api, env.secret, options), graph));
await flow('identity: certificate', () => tokenOf(new ClientCertificateCredential(env.tenant, env.api, { certificatePath: env.pem }, options), graph));
await flow('identity: on behalf of', () => tokenOf(new OnBehalfOfCredential({ ...options, tenantId: env.tenant, clientId: env.api, clientSecret: env.secret, userAssertionToken: person.accessToken }), search));
say({ end: true });
process.exit(0);
