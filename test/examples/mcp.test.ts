import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { expect, test } from 'vitest';
import { createTestWorkOS } from 'authkit-express/testing';
import { send } from '../support/browser.js';
import { runExample } from '../support/example.js';

const example = runExample(() => import('../../example/mcp/app.js'), {
  publicUrlIn: 'APP_URL',
  workosUrlIn: 'AUTHKIT_DOMAIN',
});

test('responds to the user of a token, and tells a client without a token where to get one', async () => {
  const resource = `${example.origin}/mcp`;
  const refused = await send(resource, { method: 'POST' });
  expect(refused.status).toBe(401);
  const [, metadata] = /resource_metadata="([^"]+)"/.exec(refused.headers['www-authenticate'] ?? '') ?? [];
  expect(JSON.parse((await send(metadata!)).body)).toMatchObject({
    resource,
    authorization_servers: [example.workos.url],
  });

  const token = await example.workos.oauthToken({ user: 'grace@example.com', audience: resource });
  const client = new Client({ name: 'test', version: '1.0.0' });
  const requestInit = { headers: { authorization: `Bearer ${token}` } };
  await client.connect(new StreamableHTTPClientTransport(new URL(resource), { requestInit }));
  expect(await client.callTool({ name: 'whoami' })).toMatchObject({
    content: [{ type: 'text', text: 'grace@example.com' }],
  });
  await client.close();
});

test('rejects the token of another WorkOS environment', async () => {
  const other = await createTestWorkOS();
  const token = await other.oauthToken({ audience: `${example.origin}/mcp` });
  await other.close();
  const headers = { authorization: `Bearer ${token}` };
  expect((await send(`${example.origin}/mcp`, { method: 'POST', headers })).status).toBe(401);
});
