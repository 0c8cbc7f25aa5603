import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { authkit, requireAuth, type AuthKit } from 'authkit-express';
import { FRAMEWORKS, type Handler } from '../support/frameworks.js';
import onHeaders from 'on-headers';
import { FETCH, NAVIGATION, send } from '../support/browser.js';
import { ADA, createTestApp } from '../support/app.js';

const LATER = 600_000;

/** Header fields that a cache obeys instead of `Cache-Control` (RFC 9213). */
const TARGETED = [
  'CDN-Cache-Control',
  'Cloudflare-CDN-Cache-Control',
  'Vercel-CDN-Cache-Control',
  'Netlify-CDN-Cache-Control',
  'Akamai-Cache-Control',
  'Surrogate-Control',
  'Fastly-Surrogate-Control',
  'Edge-Control',
  'X-Accel-Expires',
  'X-LiteSpeed-Cache-Control',
];

const setTargeted: Handler = (_req, res, next) => {
  for (const name of TARGETED) res.setHeader(name, 'public, max-age=600');
  res.setHeader('Expires', 'Thu, 01 Jan 2099 00:00:00 GMT');
  next();
};

describe.each(FRAMEWORKS)('fields that outrank Cache-Control, on %s', (framework) => {
  test('are removed from guarded, personal and refreshed responses, and stay on others', async () => {
    const { origin, cookie, workos } = await createTestApp(framework, {
      mount: (app, auth) => {
        app.use(setTargeted);
        app.use(auth);
      },
      routes: (app) => {
        app.route('/personal', (req, res) => {
          res.end(String((req as unknown as { user?: { email: string } }).user?.email));
        });
        app.route('/same-for-all', (_req, res) => res.end('x'));
        app.route('/list', requireAuth(), (_req, res) => {
          res.writeHead(200, { 'cdn-cache-control': 'max-age=60', 'SURROGATE-CONTROL': 'max-age=60' });
          res.end();
        });
      },
    });
    const headers = { ...FETCH, cookie: await cookie({ user: ADA }) };
    const fields = async (path: string) => {
      const reply = await send(origin + path, { headers });
      return TARGETED.filter((name) => reply.headers[name.toLowerCase()] !== undefined);
    };
    expect(await fields('/account')).toEqual([]);
    expect(await fields('/personal')).toEqual([]);
    expect(await fields('/list')).toEqual([]);
    expect(await fields('/same-for-all')).toEqual(TARGETED);
    expect((await send(`${origin}/account`, { headers })).headers.expires).toBeUndefined();
    workos.clock.advance(LATER);
    expect(await fields('/same-for-all')).toEqual([]);
  });

  test('T56 are removed although earlier middleware sets them as the head is written', async () => {
    const late: Record<string, Handler> = {
      'with on-headers': (_req, res, next) => {
        onHeaders(res, function (this: typeof res) {
          for (const name of TARGETED) this.setHeader(name, 'public, max-age=600');
          this.setHeader('Expires', 'Thu, 01 Jan 2099 00:00:00 GMT');
          this.setHeader('Cache-Control', 'public, max-age=600');
          this.setHeader('Vary', 'Accept-Encoding');
          this.setHeader('Set-Cookie', 'theirs=1');
        });
        next();
      },
      'in a list': (_req, res, next) => {
        onHeaders(res, function (this: typeof res) {
          this.removeHeader('Cache-Control');
          this.removeHeader('Vary');
          this.removeHeader('Set-Cookie');
          for (const name of TARGETED) this.appendHeader(name, 'public, max-age=600');
          this.appendHeader('Set-Cookie', 'theirs=1');
        });
        next();
      },
      'in addition to the present values': (_req, res, next) => {
        onHeaders(res, function (this: typeof res) {
          for (const name of TARGETED) this.appendHeader(name, 'public, max-age=600');
          this.appendHeader('Cache-Control', 'public, max-age=600');
          this.appendHeader('Set-Cookie', 'theirs=1');
          const lines = this.getHeader('set-cookie');
          if (Array.isArray(lines)) lines.length = 0;
        });
        next();
      },
      'in its own writeHead': (_req, res, next) => {
        const writeHead = res.writeHead.bind(res) as (status: number, headers: object) => typeof res;
        const fields = Object.fromEntries(TARGETED.map((name) => [name, 'public, max-age=600']));
        res.writeHead = (status: number) =>
          writeHead(status, { ...fields, 'Cache-Control': 'public', 'Set-Cookie': 'theirs=1' });
        next();
      },
    };
    const { origin, cookie, workos } = await createTestApp(framework, {
      mount: (app, auth) => {
        app.use((req, res, next) => {
          late[decodeURIComponent(String(req.headers['x-late'] ?? ''))]?.(req, res, next);
        });
        app.use(auth);
      },
      routes: (app) => {
        app.route('/same-for-all', (_req, res) => res.end('x'));
      },
    });
    const session = await cookie({ user: ADA });
    const ask = (path: string, how: string, kind: Record<string, string> = FETCH) =>
      send(origin + path, { headers: { ...kind, cookie: session, 'x-late': how } });
    const fieldsOf = ({ headers }: Awaited<ReturnType<typeof ask>>) => [
      headers['cache-control'],
      TARGETED.filter((name) => headers[name.toLowerCase()] !== undefined),
      headers.expires,
    ];
    for (const how of Object.keys(late)) {
      const guarded = await ask('/account', how);
      expect([how, ...fieldsOf(guarded)]).toEqual([how, 'private, no-cache', [], undefined]);
      expect(String(guarded.headers.vary)).toContain('Cookie');
      expect(guarded.setCookies).toEqual(['theirs=1']);
      for (const [path, kind] of [
        ['/account', NAVIGATION],
        ['/callback?code=x&state=y', NAVIGATION],
        ['/logout', NAVIGATION],
        ['/login', FETCH],
      ] as const)
        expect([how, path, ...fieldsOf(await ask(path, how, kind))]).toEqual([
          how,
          path,
          'private, no-store',
          [],
          undefined,
        ]);
      expect(fieldsOf(await ask('/same-for-all', how))[1]).toEqual(TARGETED);
    }
    workos.clock.advance(LATER);
    for (const how of Object.keys(late)) {
      const refreshed = await ask('/account', how);
      expect([how, ...fieldsOf(refreshed)]).toEqual([how, 'private, no-store', [], undefined]);
      expect(refreshed.setCookies.map((line) => line.split('=', 1)[0]).sort()).toEqual([
        'theirs',
        'wos-session',
      ]);
    }
  });

  test('a guarded page is not stored unless its handler says otherwise, other guarded responses are revalidated', async () => {
    const values: Record<string, string | undefined> = {
      '/plain': undefined,
      '/public': 'public, max-age=60',
      '/private': 'private, max-age=60',
      '/no-cache': 'no-cache',
      '/strict': 'no-store',
      '/understood': 'must-understand, no-store, max-age=60',
    };
    const { origin, cookie } = await createTestApp(framework, {
      mount: (app, auth) => {
        app.use(auth);
        app.use('/before', (_req, res, next) => {
          res.setHeader('Cache-Control', 'max-age=60');
          next();
        });
      },
      routes: (app) => {
        app.route('/before', requireAuth(), (_req, res) => res.end());
        for (const [path, value] of Object.entries(values))
          app.route(path, requireAuth(), (_req, res) => {
            if (value !== undefined) res.setHeader('Cache-Control', value);
            res.end();
          });
      },
    });
    const session = await cookie();
    const cacheControl = async (path: string, kind: Record<string, string>) =>
      (await send(origin + path, { headers: { ...kind, cookie: session } })).headers['cache-control'];
    for (const [path, page, other] of [
      ['/plain', 'private, no-store', 'private, no-cache'],
      ['/public', 'private, no-store', 'private, no-cache'],
      ['/before', 'private, no-store', 'private, no-cache'],
      ['/private', 'private, no-cache', 'private, no-cache'],
      ['/no-cache', 'private, no-cache', 'private, no-cache'],
      ['/strict', 'no-store', 'no-store'],
      ['/understood', 'private, no-store', 'private, no-store'],
    ] as const) {
      expect([path, await cacheControl(path, NAVIGATION)]).toEqual([path, page]);
      expect([path, await cacheControl(path, FETCH)]).toEqual([path, other]);
    }
  });
});

/** Response objects from real libraries that people pass to middleware on a WebSocket upgrade. */
const RESPONSES: Record<string, (req: IncomingMessage) => object> = {
  'an empty object': () => ({}),
  'the response of engine.io, which has few methods': () => {
    const headers: Record<string, unknown> = {};
    return {
      setHeader: (name: string, value: unknown) => void (headers[name] = value),
      getHeader: (name: string) => headers[name],
      removeHeader: (name: string) => Reflect.deleteProperty(headers, name),
      write() {},
      writeHead() {},
      end() {},
    };
  },
  'a response that can only set': () => ({ setHeader() {}, writeHead() {} }),
  'a ServerResponse without a socket, as of express-ws': (req) => new ServerResponse(req),
  'a ServerResponse with the socket of the upgrade': (req) => {
    const res = new ServerResponse(req);
    res.assignSocket(new Socket());
    return res;
  },
  'a response whose methods throw': () => {
    const fail = () => {
      throw new Error('no headers here');
    };
    return { setHeader: fail, getHeader: fail, removeHeader: fail, writeHead() {} };
  },
};

function upgradeRequest(headers: Record<string, string>): IncomingMessage {
  const req = new IncomingMessage(new Socket());
  Object.assign(req, { method: 'GET', url: '/socket', upgrade: true });
  Object.assign(req.headers, { upgrade: 'websocket', connection: 'Upgrade', ...headers });
  return req;
}

function sessionOf(auth: AuthKit, req: IncomingMessage, res: object) {
  return new Promise<{ type: string | null; reason?: string }>((resolve, reject) => {
    auth.session(req, res as ServerResponse, (error) => {
      if (error instanceof Error) reject(error);
      else resolve((req as unknown as { auth: { type: string | null } }).auth);
    });
  });
}

describe.each(Object.keys(RESPONSES))('a WebSocket upgrade with %s', (name) => {
  const respond = RESPONSES[name]!;
  test('is authenticated, and writing its head does not throw', async () => {
    for (const serverTiming of [false, true]) {
      const { auth, cookie, origin } = await createTestApp('express5', { authkit: { serverTiming } });
      const req = upgradeRequest({ cookie: await cookie({ user: ADA }), origin });
      const res = respond(req);
      const { type } = await sessionOf(auth, req, res);
      expect(type).toBe('session');
      const { writeHead } = res as { writeHead?: (status: number) => void };
      expect(() => writeHead?.call(res, 101)).not.toThrow();
    }
  });

  test('spends no refresh token', async () => {
    const { auth, cookie, origin, workos } = await createTestApp('express5', {
      authkit: { serverTiming: true },
    });
    const session = await cookie({ user: ADA });
    workos.clock.advance(LATER);
    const req = upgradeRequest({ cookie: session, origin });
    const res = respond(req);
    expect(await sessionOf(auth, req, res)).toMatchObject({ type: null, reason: 'expired' });
    const { writeHead } = res as { writeHead?: (status: number) => void };
    expect(() => writeHead?.call(res, 101)).not.toThrow();
    expect(workos.callsTo('refresh')).toEqual([]);
    workos.clock.advance(LATER);
    const later = await send(`${origin}/account`, { headers: { ...FETCH, cookie: session } });
    expect(later.status).toBe(200);
  });

  test('from another origin is signed out, also at a guard', async () => {
    const { auth, cookie, workos } = await createTestApp('express5', {
      authkit: { trustedOrigins: ['https://app.example.com'], returnToOrigins: ['https://blog.example.com'] },
    });
    const session = await cookie({ user: ADA });
    const ask = async (origin: string) => {
      const req = upgradeRequest({ cookie: session, origin });
      return (await sessionOf(auth, req, respond(req))).type;
    };
    expect(await ask('https://evil.example')).toBeNull();
    expect(await ask('https://blog.example.com')).toBeNull();
    expect(await ask('null')).toBeNull();
    expect(await ask('https://app.example.com')).toBe('session');
    expect(workos.callsTo('refresh')).toEqual([]);
  });
});

test('a request that only names an upgrade, on a server without WebSockets, is refreshed as any other', async () => {
  const { origin, cookie, workos } = await createTestApp('express5');
  const session = await cookie({ user: ADA });
  workos.clock.advance(LATER);
  const headers = { ...FETCH, cookie: session, upgrade: 'websocket', connection: 'Upgrade', origin };
  const reply = await send(`${origin}/account`, { headers });
  expect(reply.status).toBe(200);
  expect(reply.setCookies).toHaveLength(1);
});

test('trustedOrigins is a list of origins', () => {
  for (const value of ['https://a.example', ['https://a.example/'], ['null'], [1]])
    expect(() => authkit({ trustedOrigins: value as never })).toThrow(
      'trustedOrigins must be a list of origins',
    );
});
