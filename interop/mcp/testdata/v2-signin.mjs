// Signs in with the TypeScript SDK v2: node v2-signin.mjs URL CLIENT-ID SCOPE
import http from "node:http";
import { Client, StreamableHTTPClientTransport, UnauthorizedError } from "@modelcontextprotocol/client";

const [url, clientId, scope] = process.argv.slice(2);
let arrived;
const code = new Promise((resolve) => (arrived = resolve));
const callback = http.createServer((request, response) => {
  response.end("signed in");
  arrived(new URL(request.url, "http://localhost").searchParams);
});
await new Promise((resolve) => callback.listen(0, "localhost", resolve));
const redirectUrl = `http://localhost:${callback.address().port}`;

// A client that an administrator has registered: Entra registers none by itself.
const provider = {
  redirectUrl,
  clientMetadata: { client_name: "interop", redirect_uris: [redirectUrl], token_endpoint_auth_method: "none", scope },
  clientInformation: () => ({ client_id: clientId }),
  tokens: () => provider.saved,
  saveTokens: (tokens) => { provider.saved = tokens; },
  redirectToAuthorization: (to) => { console.log(JSON.stringify({ open: String(to) })); },
  saveCodeVerifier: (verifier) => { provider.verifier = verifier; },
  codeVerifier: () => provider.verifier,
  saveDiscoveryState: (state) => { provider.discovery = state; },
  discoveryState: () => provider.discovery,
};
const client = () => new Client({ name: "interop", version: "1" });
let transport = new StreamableHTTPClientTransport(new URL(url), { authProvider: provider });
try {
  await client().connect(transport);
  throw new Error("connected without a token");
} catch (error) {
  if (!(error instanceof UnauthorizedError)) throw error;
}
const answer = await code;
await transport.finishAuth(answer);
transport = new StreamableHTTPClientTransport(new URL(url), { authProvider: provider });
const signedIn = client();
await signedIn.connect(transport);
const { tools } = await signedIn.listTools();
const result = await signedIn.callTool({ name: "greet", arguments: { name: "v2" } });
console.log(JSON.stringify({ tools: tools.map((t) => t.name), result: result.structuredContent }));
await signedIn.close();
callback.close();
