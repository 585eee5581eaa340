// A protected MCP server on the TypeScript SDK's own middleware. Entra's keys verify the token.
import express from 'express';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { requireBearerAuth } from '@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js';
import { InvalidTokenError } from '@modelcontextprotocol/sdk/server/auth/errors.js';

const [authority, api] = process.argv.slice(2);
const keys = createRemoteJWKSet(new URL(authority + '/discovery/v2.0/keys'));
const verifier = {
  async verifyAccessToken(token) {
    try {
      const { payload } = await jwtVerify(token, keys, { issuer: authority + '/v2.0', audience: api, algorithms: ['RS256'] });
      return { token, clientId: payload.azp, scopes: payload.scp.split(' '), expiresAt: payload.exp, extra: { name: payload.preferred_username } };
    } catch (error) {
      throw new InvalidTokenError(error.code ?? 'not verified');
    }
  },
};
const app = express();
app.use(express.json());
const listener = app.listen(0, '127.0.0.1', () => {
  const base = `http://127.0.0.1:${listener.address().port}`;
  const metadata = base + '/.well-known/oauth-protected-resource/mcp';
  app.get('/.well-known/oauth-protected-resource/mcp', (_, res) => res.json({
    resource: base + '/mcp', authorization_servers: [authority + '/v2.0'], scopes_supported: [`api://${api}/execute`],
  }));
  app.all('/mcp', requireBearerAuth({ verifier, requiredScopes: ['execute'], resourceMetadataUrl: metadata }), async (req, res) => {
    const server = new McpServer({ name: 'typescript', version: '1' });
    server.registerTool('whoami', { description: 'Says who calls', inputSchema: {} }, ({}, extra) => ({
      content: [{ type: 'text', text: extra.authInfo.extra.name }],
    }));
    const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
    await server.connect(transport);
    await transport.handleRequest(req, res, req.body);
  });
  console.log(base + '/mcp');
});
