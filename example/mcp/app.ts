// An MCP server for the people of this application: clients find out by themselves where to get a token, and people sign
// in at AuthKit. AUTHKIT_DOMAIN is the one of your environment; APP_URL is how clients know this server.
import type { IncomingMessage } from 'node:http';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import express from 'express';
import { authkit, protectedResource, signedIn } from 'authkit-express';

const { APP_URL = 'http://localhost:3000', AUTHKIT_DOMAIN = 'https://example.authkit.app' } = process.env;

const app = express();
app.use(authkit());

const mcp = protectedResource({ resource: `${APP_URL}/mcp`, authorizationServers: [AUTHKIT_DOMAIN] });
app.use(mcp);

app.post('/mcp', express.json(), mcp.requireAuth(), async (req, res) => {
  const server = serverFor(signedIn(req).user);
  const transport = new StreamableHTTPServerTransport();
  await server.connect(transport);
  const plain: IncomingMessage = req; // MCP's own types have another `req.auth`.
  await transport.handleRequest(plain, res, req.body);
});

/** A server a request: nothing of one person is left for the next. */
function serverFor({ email }: { email: string }): McpServer {
  const server = new McpServer({ name: 'example', version: '1.0.0' });
  server.registerTool('whoami', { description: 'Says who asks' }, () => ({
    content: [{ type: 'text', text: email }],
  }));
  return server;
}

export const server = app.listen(process.env['PORT'] ?? 3000);
