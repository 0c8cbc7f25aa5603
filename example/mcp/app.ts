// An MCP server for the users of this application. Clients discover where to get a token, and users sign in with
// AuthKit. AUTHKIT_DOMAIN is your WorkOS environment's AuthKit domain, and APP_URL is this application's public URL.
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
  const plain: IncomingMessage = req; // The MCP SDK declares a different type for `req.auth`.
  await transport.handleRequest(plain, res, req.body);
});

/** Creates a new server for each request, so that users share nothing. */
function serverFor({ email }: { email: string }): McpServer {
  const server = new McpServer({ name: 'example', version: '1.0.0' });
  server.registerTool('whoami', { description: 'Returns the email address of the user' }, () => ({
    content: [{ type: 'text', text: email }],
  }));
  return server;
}

export const server = app.listen(process.env['PORT'] ?? 3000);
