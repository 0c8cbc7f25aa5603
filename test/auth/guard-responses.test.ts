import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { expect, onTestFinished, test } from 'vitest';
import { type AuthKitEvents, protectedResource, requireAuth, signedIn } from 'authkit-express';
import { FETCH, NAVIGATION, type Reply, send } from '../support/browser.js';
import { type Handler, serve } from '../support/frameworks.js';
import { createTestApp, json, whoami } from '../support/app.js';
import type { BearerResult } from '../../src/auth/bearer-token.js';
import { requestAuthsOf } from '../../src/auth/request-auth.js';
import { createRequireAuth, guardContext } from '../../src/auth/require-auth.js';

const bearer = (token: string) => ({ ...FETCH, authorization: `Bearer ${token}` });

/** The status, the challenge and the body of a response. */
function response({ status, headers, body }: Reply) {
  const { message } = JSON.parse(body) as { message?: string };
  return [status, headers['www-authenticate'], message];
}

function deniedEvents() {
  const events: AuthKitEvents['authkit:denied'][] = [];
  const listener = (message: unknown) => void events.push(message as AuthKitEvents['authkit:denied']);
  subscribe('authkit:denied', listener);
  onTestFinished(() => void unsubscribe('authkit:denied', listener));
  return events;
}

const NOT_ACCEPTED = 'the token is not accepted';
const NO_RULE = 'the rule of this route does not hold';

test('the status, challenge, message and event of a guard that denies a request', async () => {
  const { origin, workos, cookie } = await createTestApp('express5', {
    routes: (app) => {
      const tokens = ['bearer', 'apiKey'] as const;
      const routes: Record<string, Handler[]> = {
        '/session': [requireAuth()],
        '/bearer': [requireAuth({ accepts: ['bearer'] })],
        '/permission': [requireAuth({ accepts: ['session', ...tokens], permission: 'never' })],
        '/recent': [requireAuth({ accepts: tokens, maxAge: 60 })],
        // An earlier guard accepts the API key.
        '/after': [requireAuth({ accepts: tokens }), requireAuth()],
      };
      for (const [path, guards] of Object.entries(routes)) app.route(path, ...guards, whoami);
    },
  });
  const { clientId } = workos.options;
  const session = { ...FETCH, cookie: await cookie() };
  const key = bearer(workos.createApiKey());
  const expired = bearer(await workos.accessToken({ expiresIn: -1 }));
  const events = deniedEvents();
  const invalid = (why: string) => `Bearer error="invalid_token", error_description="${why}"`;
  const scope = 'Bearer error="insufficient_scope"';
  const table: [string, Record<string, string>, ReturnType<typeof response>, code: string][] = [
    ['/session', FETCH, [401, 'Bearer', 'sign in first'], 'unauthenticated'],
    ['/session', key, [401, 'Bearer', 'sign in first'], 'unauthenticated'],
    ['/bearer', FETCH, [401, 'Bearer', 'an access token is needed'], 'unauthenticated'],
    ['/bearer', session, [401, 'Bearer', 'an access token is needed'], 'unauthenticated'],
    ['/bearer', key, [401, invalid('not an access token'), NOT_ACCEPTED], 'unauthenticated'],
    ['/bearer', expired, [401, invalid('expired'), NOT_ACCEPTED], 'unauthenticated'],
    ['/permission', session, [403, undefined, NO_RULE], 'forbidden'],
    ['/permission', key, [403, scope, NO_RULE], 'forbidden'],
    ['/recent', key, [403, scope, 'this route is for users'], 'forbidden'],
    ['/after', key, [401, invalid('not accepted here'), NOT_ACCEPTED], 'unauthenticated'],
  ];
  for (const [path, headers, expected, code] of table) {
    events.length = 0;
    const what = `${path} ${JSON.stringify(headers).slice(0, 200)}`;
    expect(response(await send(`${origin}${path}?secret=1`, { method: 'POST', headers })), what).toEqual(
      expected,
    );
    expect(events, what).toMatchObject([{ clientId, code, method: 'POST', path }]);
    expect(events[0]!.userId !== undefined, what).toBe(headers === session);
  }
});

test('a guard does not rely on what an earlier guard verified differently, even if the header has been removed since', async () => {
  const withoutHeader: Handler = (req, _res, next) => {
    delete req.headers.authorization;
    next();
  };
  const { origin, workos } = await createTestApp('express5', {
    routes: (app, _auth, place) => {
      const resource = protectedResource({
        resource: `${place.origin}/mcp`,
        authorizationServers: [place.workos.url],
      });
      const either = requireAuth({ accepts: ['session', 'bearer', 'apiKey'] });
      app.route('/same', requireAuth({ accepts: ['apiKey'] }), withoutHeader, either, whoami);
      app.route('/other', resource.requireAuth(), withoutHeader, either, whoami);
    },
  });
  const key = bearer(workos.createApiKey());
  expect(response(await send(`${origin}/same`, { headers: key }))[0]).toBe(200);
  const token = bearer(await workos.oauthToken({ audience: `${origin}/mcp` }));
  expect(response(await send(`${origin}/other`, { headers: token }))).toEqual([
    401,
    'Bearer error="invalid_token", error_description="not accepted here"',
    NOT_ACCEPTED,
  ]);
});

test('a token that is not verified by the deadline of the request is unavailable, not refused', async () => {
  const verify = () =>
    new Promise<BearerResult>((resolve) => setTimeout(resolve, 1500, { kind: 'refused', reason: 'late' }));
  const guard = createRequireAuth({ ...guardContext(requestAuthsOf), bearerVerifierOf: () => verify });
  const { origin } = await createTestApp('express5', {
    authkit: { timeout: 100 },
    routes: (app) => {
      app.route('/api', guard({ accepts: ['bearer'] }), whoami);
    },
  });
  const { status, headers } = await send(`${origin}/api`, { headers: bearer('x.y.z') });
  expect([status, headers['www-authenticate'], headers['retry-after']]).toEqual([503, undefined, '5']);
});

test('every denial of a protected resource names its metadata', async () => {
  const { origin, workos } = await createTestApp('express5', {
    routes: (app, _auth, place) => {
      const resource = protectedResource({
        resource: `${place.origin}/mcp`,
        authorizationServers: [place.workos.url],
        scopes: ['mcp:read', 'mcp:write'],
      });
      app.route('/mcp', resource.requireAuth(), whoami);
      app.route('/never', resource.requireAuth({ permission: 'never' }), whoami);
    },
  });
  const metadata = `resource_metadata="${origin}/.well-known/oauth-protected-resource/mcp", scope="mcp:read mcp:write"`;
  const token = bearer(await workos.oauthToken({ audience: `${origin}/mcp` }));
  const other = bearer(await workos.oauthToken({ audience: `${origin}/other` }));
  for (const [path, headers, expected] of [
    ['/mcp', FETCH, [401, `Bearer ${metadata}`, 'an access token is needed']],
    [
      '/mcp',
      other,
      [401, `Bearer error="invalid_token", error_description="aud", ${metadata}`, NOT_ACCEPTED],
    ],
    ['/never', token, [403, `Bearer error="insufficient_scope", ${metadata}`, NO_RULE]],
  ] as const)
    expect(response(await send(origin + path, { headers }))).toEqual(expected);
});

test('a user whom loadUser does not know is denied, and the event says which user', async () => {
  const { origin, cookie } = await createTestApp('express5', { authkit: { loadUser: () => undefined } });
  const events = deniedEvents();
  const reply = await send(`${origin}/account`, { headers: { ...FETCH, cookie: await cookie() } });
  expect(response(reply)).toEqual([403, undefined, 'this application has no account for the signed-in user']);
  expect(events).toMatchObject([{ code: 'unknown_user', userId: expect.any(String) as string }]);
});

test('signedIn() says why a request has no user', async () => {
  const handler: Handler = (req, res) => {
    try {
      signedIn(req);
    } catch (error) {
      const { code, message } = error as { code: string; message: string };
      json(res, [code, message]);
    }
  };
  const { origin, workos } = await createTestApp('express5', {
    routes: (app) => {
      app.route('/open-handler', handler);
      app.route('/api', requireAuth({ accepts: ['apiKey'] }), handler);
    },
  });
  const lonely = await serve('express5', (app) => {
    app.route('/', handler);
  });
  onTestFinished(() => lonely.close());
  const ask = async (url: string, headers: Record<string, string> = FETCH) =>
    JSON.parse((await send(url, { headers })).body) as unknown;
  const signedOut = [
    'unauthenticated',
    'this request is not signed in: put requireAuth() before the handler',
  ];
  expect(await ask(`${lonely.origin}/`)).toEqual(signedOut);
  expect(await ask(`${origin}/open-handler`)).toEqual(signedOut);
  expect(await ask(`${origin}/api`, bearer(workos.createApiKey()))).toEqual([
    'unauthenticated',
    'this request was sent by an API key or a machine and has no user: look at req.auth.type',
  ]);
});

test('a guard takes one rule', () => {
  const both = requireAuth as unknown as (...rules: object[]) => unknown;
  expect(() => both({ role: 'admin' }, { maxAge: 60 })).toThrow(
    new TypeError(
      "requireAuth() takes one rule: put all keys into one object, as in requireAuth({ role: ['admin', 'editor'] })",
    ),
  );
});

test('an unauthenticated page load is redirected with the method that its own method requires', async () => {
  const { origin } = await createTestApp('express5', {
    routes: (app) => {
      app.route('/always', requireAuth({ unauthenticated: 'redirect' }), whoami);
      app.route('/never', requireAuth({ unauthenticated: 'respond' }), whoami);
      app.route(
        '/token',
        requireAuth({ accepts: ['bearer'], unauthenticated: (_req, res) => res.end('own') }),
        whoami,
      );
    },
  });
  const statusOf = async (path: string, method: string, headers: Record<string, string> = NAVIGATION) =>
    (await send(origin + path, { method, headers })).status;
  expect(await statusOf('/always', 'GET')).toBe(302);
  expect(await statusOf('/always', 'HEAD', FETCH)).toBe(302);
  expect(await statusOf('/always', 'POST')).toBe(303);
  expect(await statusOf('/never', 'GET')).toBe(401);
  expect((await send(`${origin}/token`, { headers: FETCH })).body).toBe('own');
});
