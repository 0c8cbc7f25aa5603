import type { IncomingMessage, ServerResponse } from 'node:http';
import { describe, expect, test } from 'vitest';
import { authkit, requireAuth, type AuthKit } from 'authkit-express';
import { FRAMEWORKS, serve } from '../support/frameworks.js';
import { FETCH, NAVIGATION, send } from '../support/browser.js';
import { ADA, json, createTestApp, type Options } from '../support/app.js';

const GRACE = 'grace@example.com';

interface Row {
  id: number;
  email: string;
}

type LoadUser = NonNullable<Options['loadUser']>;

/** An application whose `/user` returns what a handler sees. */
async function app(framework: (typeof FRAMEWORKS)[number], loadUser: LoadUser, options: Options = {}) {
  const created = await createTestApp(framework, {
    authkit: { ...options, loadUser },
    routes: (site) => {
      const show = (req: IncomingMessage, res: Parameters<typeof json>[0]) => {
        const { user, auth } = req as unknown as { user: unknown; auth: { user: { email: string } | null } };
        const { locals } = res as unknown as { locals: { user?: unknown } };
        json(res, { user: user ?? null, local: locals.user ?? null, workos: auth.user?.email ?? null });
      };
      site.route('/user', show);
      site.route('/guarded', requireAuth(), show);
      site.route('/token', requireAuth({ accepts: ['session', 'bearer', 'apiKey'] }), show);
      site.route(
        '/checked',
        requireAuth((_auth, req) => (req as unknown as { user?: Row }).user?.id === 1),
        show,
      );
    },
  });
  const ask = async (path: string, headers: Record<string, string> = {}) => {
    const reply = await send(created.origin + path, { headers: { ...FETCH, ...headers } });
    return { ...reply, json: reply.body.startsWith('{') ? (JSON.parse(reply.body) as unknown) : undefined };
  };
  return { ...created, ask };
}

describe.each(FRAMEWORKS)('loadUser on %s', (framework) => {
  test('gives req.user and res.locals.user, once per request, and req.auth.user stays the WorkOS user', async () => {
    const calls: string[] = [];
    const { ask, cookie } = await app(framework, async ({ user, auth, req }) => {
      calls.push([user.email, auth.type, req.url].join(' '));
      return Promise.resolve({ id: 1, email: user.email });
    });
    const session = { cookie: await cookie({ user: ADA }) };
    const row = { id: 1, email: ADA };
    for (const path of ['/user', '/guarded', '/checked', '/token']) {
      calls.length = 0;
      const reply = await ask(path, session);
      expect(reply.json).toEqual({ user: row, local: row, workos: ADA });
      expect(calls).toEqual([`${ADA} session ${path}`]);
    }
    calls.length = 0;
    expect((await ask('/user')).json).toEqual({ user: null, local: null, workos: null });
    expect((await ask('/guarded')).status).toBe(401);
    expect(calls).toEqual([]);
  });

  test('null is 403 unknown_user at a guard, and no user elsewhere', async () => {
    for (const none of [null, undefined, false as never]) {
      const { ask, cookie, origin } = await app(framework, () => none);
      const session = { cookie: await cookie({ user: ADA }) };
      const reply = await ask('/guarded', session);
      expect(reply.status).toBe(403);
      expect(reply.json).toMatchObject({ error: 'unknown_user' });
      expect((await ask('/user', session)).json).toEqual({ user: null, local: null, workos: ADA });
      const page = await send(`${origin}/guarded`, { headers: { ...NAVIGATION, ...session } });
      expect(page.status).toBe(403);
      expect(page.body).toContain('has no account for you');
      expect((await ask('/logout', session)).status).not.toBe(500);
    }
  });

  test('an exception reaches the error handler, whether loadUser throws or rejects', async () => {
    const failures: LoadUser[] = [
      () => {
        throw new Error('the database is down');
      },
      () => Promise.reject(new Error('the database is down')),
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- a mistake that applications make
      () => Promise.reject(undefined),
    ];
    for (const loadUser of failures) {
      const { ask, cookie, site, served } = await app(framework, loadUser);
      const session = { cookie: await cookie() };
      for (const path of ['/user', '/guarded', '/account'])
        expect((await ask(path, session)).status).toBe(500);
      expect(site.errors).toHaveLength(3);
      expect(served()).toBe(0);
      expect((await ask('/user')).status).toBe(200);
      expect((await ask('/logout', { ...session, 'sec-fetch-mode': 'navigate' })).status).toBe(200);
    }
  });
});

test('a bearer token is loaded at the guard that accepts it, instead of the user of the cookie', async () => {
  const calls: string[] = [];
  const { ask, cookie, workos } = await app('express5', ({ user }) => {
    calls.push(user.email);
    return { email: user.email };
  });
  const headers = {
    cookie: await cookie({ user: ADA }),
    authorization: `Bearer ${await workos.accessToken({ user: GRACE })}`,
  };
  const row = { email: GRACE };
  expect((await ask('/token', headers)).json).toEqual({ user: row, local: row, workos: GRACE });
  expect(calls).toEqual([ADA, GRACE]);
  calls.length = 0;
  const key = await ask('/token', { authorization: `Bearer ${workos.createApiKey()}` });
  expect(key.json).toEqual({ user: null, local: null, workos: null });
  expect(calls).toEqual([]);
});

/** A user who is an administrator of one organization and a member of another. */
const TWO_ORGANIZATIONS = {
  organizations: [
    { id: 'org_acme', name: 'Acme' },
    { id: 'org_other', name: 'Other' },
  ],
  users: [
    {
      email: ADA,
      memberships: [
        { organizationId: 'org_acme', role: 'admin' },
        { organizationId: 'org_other', role: 'member' },
      ],
    },
  ],
};

interface Membership {
  organization: string | undefined;
  isAdmin: boolean;
}

const loadMembership: LoadUser = ({ auth }) => ({
  organization: auth.organizationId,
  isAdmin: auth.role === 'admin',
});

type WithMembership = IncomingMessage & { user: Membership };

test('T67 a check that reads req.user sees the row of the access token, not the row of the same user in the cookie', async () => {
  const { origin, workos } = await createTestApp('express5', {
    workos: TWO_ORGANIZATIONS,
    authkit: { loadUser: loadMembership },
    routes: (site) => {
      const check = (_auth: unknown, req: IncomingMessage) => (req as WithMembership).user.isAdmin;
      site.route('/admin', requireAuth({ accepts: ['session', 'bearer'], check }), (_req, res) => {
        json(res, (res as unknown as { locals: { user: unknown } }).locals.user);
      });
    },
  });
  const inAcme = { user: ADA, organizationId: 'org_acme' };
  const inOther = { user: ADA, organizationId: 'org_other' };
  const ask = async (cookieOf: typeof inAcme, tokenOf: typeof inAcme) => {
    const [cookie, token] = [await workos.signIn(cookieOf), await workos.accessToken(tokenOf)];
    return send(`${origin}/admin`, { headers: { ...FETCH, cookie, authorization: `Bearer ${token}` } });
  };
  expect((await ask(inAcme, inOther)).status).toBe(403);
  const admin = await ask(inOther, inAcme);
  expect(admin.status).toBe(200);
  expect(JSON.parse(admin.body)).toEqual({ organization: 'org_acme', isAdmin: true });
});

test.each([
  [
    'switchToOrganization',
    (auth: AuthKit, req: IncomingMessage, res: ServerResponse) =>
      auth.switchToOrganization(req, res, 'org_other'),
  ],
  [
    'refreshSession',
    (auth: AuthKit, req: IncomingMessage, res: ServerResponse) =>
      auth.refreshSession(req, res, { organizationId: 'org_other' }),
  ],
])('T67 after %s, req.user is the row for the new organization', async (_, change) => {
  const { origin, workos } = await createTestApp('express5', {
    workos: TWO_ORGANIZATIONS,
    authkit: { loadUser: loadMembership },
    routes: (site, auth) => {
      site.route('/change', requireAuth(), async (req, res) => {
        await change(auth, req, res);
        const { locals } = res as unknown as { locals: { user: unknown } };
        json(res, [(req as WithMembership).user, locals.user]);
      });
    },
  });
  const cookie = await workos.signIn({ user: ADA, organizationId: 'org_acme' });
  const reply = await send(`${origin}/change`, { headers: { ...FETCH, cookie } });
  const row = { organization: 'org_other', isAdmin: false };
  expect(JSON.parse(reply.body)).toEqual([row, row]);
});

test('T67 with several instances, res.locals.user is the user that the guard has checked', async () => {
  const { workos } = await createTestApp('express5');
  const site = await serve('express5', (app, origin) => {
    const instance = (name: string) =>
      authkit({
        ...workos.options,
        redirectUri: `${origin}/${name}/callback`,
        routes: { login: `/${name}/login`, logout: `/${name}/logout` },
        cookie: { name },
        loadUser: ({ user }) => ({ email: user.email }),
      });
    const [one, two] = [instance('one'), instance('two')];
    app.use(one);
    app.use(two);
    for (const [path, guard] of [
      ['/one', one.requireAuth()],
      ['/two', two.requireAuth()],
    ] as const) {
      app.route(path, guard, (req, res) => {
        const { locals } = res as unknown as { locals: { user: unknown } };
        json(res, [(req as unknown as { user: unknown }).user, locals.user]);
      });
    }
  });
  const one = await workos.signIn({ user: ADA, cookieName: 'one' });
  const two = await workos.signIn({ user: GRACE, cookieName: 'two' });
  for (const [path, cookie, email] of [
    ['/one', `${one}; ${two}`, ADA],
    ['/two', `${one}; ${two}`, GRACE],
    ['/one', one, ADA],
    ['/two', two, GRACE],
  ] as const) {
    const reply = await send(site.origin + path, { headers: { ...FETCH, cookie } });
    expect(JSON.parse(reply.body)).toEqual([{ email }, { email }]);
  }
  await site.close();
});

test('a loadUser that never returns is 503 after the deadline of a request', async () => {
  const { ask, cookie } = await app('express5', () => new Promise(() => undefined), { timeout: 50 });
  const reply = await ask('/guarded', { cookie: await cookie() });
  expect(reply.status).toBe(503);
});

test('each of two mounts of one instance shares the result', async () => {
  let calls = 0;
  const { workos, cookie } = await createTestApp('express5');
  const site = await serve('express5', (app, origin) => {
    const auth = authkit({
      ...workos.options,
      redirectUri: `${origin}/callback`,
      loadUser: () => ({ id: (calls += 1) }),
    });
    app.use(auth);
    app.use(auth.session);
    app.route('/x', auth.requireAuth(), (req, res) => {
      json(res, (req as unknown as { user: unknown }).user);
    });
  });
  const reply = await send(`${site.origin}/x`, { headers: { ...FETCH, cookie: await cookie() } });
  expect(JSON.parse(reply.body)).toEqual({ id: 1 });
  expect(calls).toBe(1);
  await site.close();
});

test('loadUser must be a function', () => {
  expect(() => authkit({ loadUser: 'users' as never })).toThrow('loadUser must be a function');
});
