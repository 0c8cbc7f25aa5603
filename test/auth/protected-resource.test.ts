import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { UnauthorizedError, type OAuthClientProvider } from '@modelcontextprotocol/sdk/client/auth.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import type { OAuthClientInformation, OAuthTokens } from '@modelcontextprotocol/sdk/shared/auth.js';
import type { IncomingMessage } from 'node:http';
import { describe, expect, test } from 'vitest';
import { protectedResource, signedIn, type Auth, type ProtectedResource } from 'authkit-express';
import { FRAMEWORKS, type Framework, type Handler } from '../support/frameworks.js';
import { FETCH, send } from '../support/browser.js';
import { ADA, json, createTestApp } from '../support/app.js';

const GRACE = 'grace@example.com';
const DOCUMENT = '/.well-known/oauth-protected-resource/mcp';

/** An MCP server that responds to one request with its user. */
const serveMcp: Handler = async (req, res) => {
  const { email } = signedIn(req).user;
  const server = new McpServer({ name: 'test', version: '1.0.0' });
  server.registerTool('whoami', { description: 'Says who asks' }, () => ({
    content: [{ type: 'text', text: email }],
  }));
  const transport = new StreamableHTTPServerTransport({ enableJsonResponse: true });
  await server.connect(transport);
  await transport.handleRequest(req, res);
};

/**
 * An application whose `/mcp` is an MCP server. `/data` is the same resource, which machines and API keys can use too.
 */
async function resourceServer(framework: Framework = 'express5') {
  const served: Auth[] = [];
  let mcp!: ProtectedResource;
  const there = await createTestApp(framework, {
    routes: (app, _auth, { origin, workos }) => {
      mcp = protectedResource({
        resource: `${origin}/mcp`,
        authorizationServers: [workos.url],
        scopes: ['openid', 'profile'],
        name: 'Test',
      });
      app.use(mcp);
      const tell: Handler = (req, res) => {
        const { auth } = req as IncomingMessage & { auth: Auth };
        served.push(auth);
        json(res, { type: auth.type });
      };
      app.route('/mcp', mcp.requireAuth(), serveMcp);
      app.route('/data', mcp.requireAuth({ accepts: ['bearer', 'machine', 'apiKey'] }), tell);
      app.route('/admin', mcp.requireAuth({ permission: 'all' }), tell);
    },
  });
  const resource = `${there.origin}/mcp`;
  const ask = (token?: string, path = '/data') =>
    send(there.origin + path, {
      headers: token === undefined ? FETCH : { ...FETCH, authorization: `Bearer ${token}` },
    });
  return { ...there, served, resource, ask, mcp };
}

/** A client without a browser: it stores what it receives, and the test follows its redirects. */
function memory(): OAuthClientProvider & { wanted: URL[] } {
  let information: OAuthClientInformation | undefined;
  let tokens: OAuthTokens | undefined;
  let verifier = '';
  const wanted: URL[] = [];
  return {
    wanted,
    redirectUrl: 'http://localhost:9/callback',
    clientMetadata: { client_name: 'test', redirect_uris: ['http://localhost:9/callback'] },
    clientInformation: () => information,
    saveClientInformation: (value) => {
      information = value;
    },
    tokens: () => tokens,
    saveTokens: (value) => {
      tokens = value;
    },
    redirectToAuthorization: (url) => {
      wanted.push(url);
    },
    saveCodeVerifier: (value) => {
      verifier = value;
    },
    codeVerifier: () => verifier,
  };
}

describe.each(FRAMEWORKS)('an MCP server on %s', (framework) => {
  test("the official client finds AuthKit's OAuth server, signs in and calls a tool as its user", async () => {
    const { resource } = await resourceServer(framework);
    const authProvider = memory();
    const connect = async () => {
      const transport = new StreamableHTTPClientTransport(new URL(resource), { authProvider });
      const client = new Client({ name: 'test', version: '1.0.0' });
      return { client, transport, connected: client.connect(transport) };
    };
    const first = await connect();
    await expect(first.connected).rejects.toBeInstanceOf(UnauthorizedError);
    const [authorize] = authProvider.wanted as [URL];
    expect(authorize.searchParams.get('resource')).toBe(resource);
    expect(authorize.searchParams.get('scope')).toBe('openid profile');
    authorize.searchParams.set('login_hint', GRACE);
    const back = await send(authorize.href);
    await first.transport.finishAuth(new URL(back.location!).searchParams.get('code')!);

    const second = await connect();
    await second.connected;
    const result = await second.client.callTool({ name: 'whoami' });
    expect(result.content).toEqual([{ type: 'text', text: GRACE }]);
    await second.client.close();
  });

  test('the metadata document is public, and the challenge contains its URL', async () => {
    const { origin, workos, ask, resource, mcp, served } = await resourceServer(framework);
    const document = await send(origin + DOCUMENT, { headers: { origin: 'https://inspector.example' } });
    expect(JSON.parse(document.body)).toEqual({
      resource,
      authorization_servers: [workos.url],
      scopes_supported: ['openid', 'profile'],
      bearer_methods_supported: ['header'],
      resource_name: 'Test',
    });
    expect(document.headers).toMatchObject({
      'access-control-allow-origin': '*',
      'content-type': 'application/json; charset=utf-8',
    });
    const preflight = await send(origin + DOCUMENT, { method: 'OPTIONS' });
    expect(preflight.status).toBe(204);
    expect(preflight.headers).toMatchObject({
      'access-control-allow-origin': '*',
      'access-control-allow-methods': 'GET, HEAD',
      // MCP clients send MCP-Protocol-Version.
      'access-control-allow-headers': '*',
    });
    expect((await send(origin + DOCUMENT, { method: 'HEAD' })).status).toBe(200);
    expect((await send(origin + DOCUMENT, { method: 'POST' })).status).toBe(404);
    expect((await send(`${origin}/.well-known/oauth-protected-resource`)).status).toBe(404);
    expect(mcp.metadataUrl).toBe(origin + DOCUMENT);
    const anonymous = await ask();
    expect(anonymous.status).toBe(401);
    const where = `resource_metadata="${origin}${DOCUMENT}", scope="openid profile"`;
    expect(anonymous.headers['www-authenticate']).toBe(`Bearer ${where}`);
    const forged = await ask('a.b.c');
    expect(forged.headers['www-authenticate']).toBe(
      `Bearer error="invalid_token", error_description="issuer", ${where}`,
    );
    const token = await workos.oauthToken({ audience: resource });
    const forbidden = await ask(token, '/admin');
    expect(forbidden.status).toBe(403);
    expect(forbidden.headers['www-authenticate']).toBe(`Bearer error="insufficient_scope", ${where}`);
    expect(served).toEqual([]);
  });
});

test('a token is checked by issuer, key, audience and time, and accepted at the guard of its resource only', async () => {
  const { workos, resource, ask, served, cookie, origin } = await resourceServer();
  const good = await workos.oauthToken({ user: ADA, audience: [resource, 'other'], scope: 'openid a' });
  expect((await ask(good)).status).toBe(200);
  expect(served[0]).toMatchObject({ type: 'bearer', user: { email: ADA }, scopes: ['openid', 'a'] });
  served.length = 0;
  const refused = {
    'no audience': await workos.oauthToken({ claims: { aud: undefined } }),
    'the client id alone': await workos.oauthToken(),
    'another resource': await workos.oauthToken({ audience: `${resource}/` }),
    'a part of the resource': await workos.oauthToken({ audience: resource.slice(0, -1) }),
    'an object': await workos.oauthToken({ claims: { aud: { [resource]: true } } }),
    expired: await workos.oauthToken({ audience: resource, expiresIn: -1 }),
    'another issuer': await workos.oauthToken({
      audience: resource,
      claims: { iss: 'https://evil.example' },
    }),
    'no issuer': await workos.oauthToken({ audience: resource, claims: { iss: undefined } }),
    'no subject': await workos.oauthToken({ audience: resource, claims: { sub: undefined } }),
    nobody: await workos.oauthToken({ audience: resource, claims: { sub: 'user_nobody' } }),
    'the key of sessions': await workos.signToken({
      iss: workos.url,
      aud: resource,
      sub: 'user_1',
      exp: 9e9,
    }),
    'a session': await workos.accessToken({ user: ADA }),
    'a session for it': await workos.accessToken({ claims: { aud: resource, iss: workos.url } }),
  };
  for (const [what, token] of Object.entries(refused)) expect((await ask(token)).status, what).toBe(401);
  const session = await cookie();
  expect((await send(`${origin}/data`, { headers: { ...FETCH, cookie: session } })).status).toBe(401);
  expect((await ask(good, '/account')).status).toBe(401);
  expect(served).toEqual([]);
});

test('a client credentials token authenticates a machine with its organization and without a user', async () => {
  const { workos, resource, ask, served } = await resourceServer();
  const { clientId, clientSecret } = workos.createMachine();
  const grant = await send(`${workos.url}/oauth2/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: clientId,
      client_secret: clientSecret,
      resource,
    }).toString(),
  });
  const { access_token: token } = JSON.parse(grant.body) as { access_token: string };
  expect((await ask(token)).status).toBe(200);
  expect(served).toMatchObject([{ type: 'machine', user: null, clientId }]);
  expect(served[0]?.type === 'machine' && served[0].organizationId).toMatch(/^org_/);
  expect(workos.callsTo('user')).toEqual([]);
  expect((await ask(token, '/mcp')).status).toBe(401);
  expect((await ask(workos.createApiKey())).status).toBe(200);
  expect(served).toHaveLength(2);
});

test('without keys the answer is 503, and keys that were fetched before are still used', async () => {
  const { workos, resource, ask, served } = await resourceServer();
  workos.fail({ on: 'oauthKeys', status: 503 });
  const token = await workos.oauthToken({ audience: resource });
  expect((await ask(token)).status).toBe(503);
  workos.recover();
  expect((await ask(token)).status).toBe(200);
  workos.fail({ on: 'oauthKeys', status: 503 });
  workos.clock.advance(3_600_000);
  expect((await ask(await workos.oauthToken({ audience: resource }))).status).toBe(200);
  expect(served).toHaveLength(2);
});

test('the audience of clients that request no resource can be allowed', async () => {
  const { origin, workos } = await createTestApp('express5', {
    routes: (app, _auth, { origin: here, workos: { url, options } }) => {
      const resource = protectedResource({
        resource: here,
        authorizationServers: [`${url}/`],
        audience: options.clientId,
      });
      app.use(resource);
      app.route('/data', resource.requireAuth(), (_req, res) => {
        json(res, {});
      });
    },
  });
  for (const audience of [workos.options.clientId, origin, `${origin}/`]) {
    const token = await workos.oauthToken({ audience });
    const reply = await send(`${origin}/data`, { headers: { authorization: `Bearer ${token}` } });
    expect(reply.status, audience).toBe(200);
  }
  const document = await send(`${origin}/.well-known/oauth-protected-resource`);
  expect(JSON.parse(document.body)).toMatchObject({ resource: origin });
});

test.each([
  [{}, /resource must be.*authorizationServers must list/s],
  [{ resource: 'http://api.example.com', authorizationServers: ['https://a.authkit.app'] }, /resource/],
  [{ resource: 'https://api.example.com/#a', authorizationServers: ['https://a.authkit.app'] }, /resource/],
  [{ resource: 'https://api.example.com', authorizationServers: ['a.authkit.app'] }, /authorizationServers/],
  [
    { resource: 'https://api.example.com', authorizationServers: 'https://a.authkit.app' },
    /authorizationServers/,
  ],
  [{ resource: 'https://a.b', authorizationServers: ['https://c.d'], scopes: ['a b'] }, /scopes/],
  [{ resource: 'https://a.b', authorizationServers: ['https://c.d'], audience: [] }, /audience/],
  [{ resource: 'https://a.b', authorizationServers: ['https://c.d'], audience: '' }, /audience/],
  [{ resource: 'https://a.b', authorizationServers: ['https://c.d'], audience: ['x', ''] }, /audience/],
  [
    { resource: 'https://a.b', authorizationServers: ['https://c.d'], issuer: 'x' },
    /unknown option "issuer"/,
  ],
])('options that make no sense throw at start-up: %j', (options, message) => {
  expect(() => protectedResource(options as never)).toThrow(message);
});

test.each(['localhost:3000', 'mcp.localhost:3000', '127.0.0.1:3000', '[::1]:3000'])(
  'a resource and an authorization server on this machine may use http: %s',
  (host) => {
    const resource = `http://${host}/mcp`;
    expect(protectedResource({ resource, authorizationServers: [`http://${host}`] }).metadataUrl).toBe(
      `http://${host}/.well-known/oauth-protected-resource/mcp`,
    );
  },
);

test.each(['localhost.example.com', '127.0.0.1.example.com', 'mcp-localhost'])(
  'a resource on the other machine %s may not use http',
  (host) => {
    const options = { resource: `http://${host}/mcp`, authorizationServers: ['https://a.authkit.app'] };
    expect(() => protectedResource(options)).toThrow('resource must be an https address');
  },
);
