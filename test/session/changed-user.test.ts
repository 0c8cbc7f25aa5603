import { expect, test } from 'vitest';
import { createAdministratorApp, deliver, GRACE, removeRole, RESOURCE } from '../support/administrator.js';
import { createTestApp, type Options, type TestApp } from '../support/app.js';
import { FETCH, send } from '../support/browser.js';
import { messagesOn } from '../support/events.js';
import { mapStore } from '../support/map-store.js';

const SECRET = 'whsec_of_this_test';

/** An application for administrators, and the cookie of a user who is one. */
async function withAdministrator(authkit: Options = {}) {
  const site = await createAdministratorApp(authkit);
  const cookie = await site.cookie({ user: GRACE });
  const ask = (by = cookie) => send(`${site.origin}/account`, { headers: { ...FETCH, cookie: by } });
  expect((await ask()).status).toBe(200);
  return { ...site, grace: cookie, ask };
}

test('T62 a user whose role was removed does not keep it with an earlier cookie of the session', async () => {
  const site = await withAdministrator();
  const { workos, grace, ask } = site;
  workos.clock.advance(290_000);
  const refreshed = await ask();
  expect([refreshed.status, refreshed.setCookies.length]).toEqual([200, 1]);
  const [current] = refreshed.setCookies[0]!.split(';', 1);
  await removeRole(site);
  for (const cookie of [grace, grace, current!, grace]) expect((await ask(cookie)).status).toBe(403);
  expect(workos.callsTo('refresh')).toHaveLength(2);
});

test.each([
  ['without a store', () => ({})],
  ['with a store', () => ({ store: mapStore() })],
  ['with sessions in a store', () => ({ store: mapStore(), session: 'store' as const })],
])('T62 the result of a refresh in another process does not bring the role back, %s', async (_, options) => {
  const site = await withAdministrator(options());
  const { workos, grace, ask } = site;
  const other = await site.sibling();
  workos.clock.advance(290_000);
  const refreshed = await ask();
  expect(refreshed.status).toBe(200);
  await removeRole(site, other.origin);
  const headers = { ...FETCH, cookie: grace };
  for (let request = 0; request < 2; request += 1) {
    const reply = await send(`${other.origin}/account`, { headers });
    expect(reply.status).toBe(403);
    const [renewed = grace] = reply.setCookies[0]?.split(';', 1) ?? [];
    expect((await send(`${other.origin}/account`, { headers: { ...FETCH, cookie: renewed } })).status).toBe(
      403,
    );
  }
});

test('T62 a WebSocket is not opened with the claims that a user had before a change', async () => {
  const site = await withAdministrator();
  const { auth, grace, origin, workos, ask } = site;
  const connect = (cookie: string) => auth.authenticate({ headers: { cookie, origin } } as never);
  expect(await connect(grace)).toMatchObject({ type: 'session', role: 'admin' });
  await removeRole(site);
  expect(await connect(grace)).toMatchObject({ type: null, reason: 'expired' });
  expect(workos.callsTo('refresh')).toEqual([]);
  const { status, setCookies } = await ask();
  expect(status).toBe(403);
  expect(await connect(setCookies[0]!.split(';', 1)[0]!)).toMatchObject({ type: 'session', role: 'member' });
});

test('T62 a removed role is not accepted while WorkOS is unavailable, and the user stays signed in', async () => {
  const site = await withAdministrator();
  const { workos, ask } = site;
  await removeRole(site);
  const fault = workos.fail({ on: 'refresh', status: 500 });
  for (let request = 0; request < 2; request += 1) {
    const reply = await ask();
    expect([reply.status, reply.setCookies]).toEqual([503, []]);
  }
  fault.restore();
  workos.clock.advance(60_000);
  const later = await ask();
  expect([later.status, later.setCookies.length]).toEqual([403, 1]);
});

test('T62 if the second refresh fails, the browser receives the tokens of the first, which cannot be refreshed again', async () => {
  const site = await withAdministrator();
  const { workos, grace, ask } = site;
  const other = await site.sibling();
  workos.clock.advance(290_000);
  expect((await ask()).status).toBe(200);
  await removeRole(site, other.origin);
  // WorkOS repeats its answer to the first refresh, and is then unavailable.
  workos.fail({
    on: 'refresh',
    times: 1,
    alter: (body) => {
      workos.fail({ on: 'refresh', status: 500 });
      return body;
    },
  });
  const reply = await send(`${other.origin}/account`, { headers: { ...FETCH, cookie: grace } });
  expect([reply.status, reply.setCookies.length]).toEqual([503, 1]);
  const [received] = reply.setCookies[0]!.split(';', 1);
  expect(received).not.toBe(grace);
  workos.recover();
  workos.clock.advance(60_000);
  const later = await send(`${other.origin}/account`, { headers: { ...FETCH, cookie: received! } });
  expect([later.status, later.setCookies.length]).toEqual([403, 1]);
});

/**
 * Grace, in Acme, switches to Beta. While WorkOS sends the tokens for Beta, `change` changes her at WorkOS, so they are
 * refreshed again, and WorkOS refuses this.
 */
async function switchWhileChanging(
  options: Options,
  change: (site: TestApp) => { event: string; data: Record<string, unknown> },
) {
  const site = await createTestApp('express5', {
    workos: {
      webhookSecret: SECRET,
      organizations: [
        { id: 'org_acme', name: 'Acme' },
        { id: 'org_beta', name: 'Beta' },
      ],
      users: [{ email: GRACE, memberships: [{ organizationId: 'Acme' }, { organizationId: 'Beta' }] }],
    },
    authkit: { ...options, routes: { switchOrganization: '/switch' } },
    mount: (app, auth) => {
      app.use('/hook', auth.webhooks({ secret: SECRET }));
      app.use(auth);
    },
    rule: { organization: 'org_acme' },
  });
  const cookie = await site.cookie({ user: GRACE, organizationId: 'Acme' });
  site.workos.fail({
    on: 'refresh',
    times: 1,
    alter: async (tokens) => {
      site.workos.clock.advance(2000);
      const { event, data } = change(site);
      await deliver(site.workos.webhook(event, data), site.origin);
      return tokens;
    },
  });
  const reply = await send(`${site.origin}/switch?organizationId=org_beta`, {
    method: 'POST',
    headers: { ...FETCH, cookie },
  });
  return { ...site, reply };
}

const WHERE_SESSIONS_ARE = [
  ['without a store', () => ({})],
  ['with a store', () => ({ store: mapStore() })],
  ['with sessions in a store', () => ({ store: mapStore(), session: 'store' as const })],
] as const;

const REFUSALS = [
  [
    'the user is removed from the organization',
    ({ workos }: TestApp) => {
      const { id } = workos.putUser({ email: GRACE, memberships: [{ organizationId: 'Acme' }] });
      return { event: 'organization_membership.deleted', data: { id: 'om_1', user_id: id } };
    },
  ],
  [
    'WorkOS refuses it without a known reason',
    ({ workos }: TestApp) => {
      workos.fail({ on: 'refresh', status: 403, body: { error: 'unknown' }, times: 1 });
      return { event: 'user.updated', data: { id: workos.users()[0]!.id } };
    },
  ],
] as const;

test.each(
  WHERE_SESSIONS_ARE.flatMap(([where, options]) =>
    REFUSALS.map(([why, change]) => [why, where, options, change] as const),
  ),
)(
  'T62 if, during a switch to an organization, %s, the session stays in the previous one, %s',
  async (_why, _where, options, change) => {
    const { workos, reply, sibling } = await switchWhileChanging(options(), change);
    expect([reply.status, reply.setCookies.length]).toEqual([403, 1]);
    // Later, WorkOS does not repeat its answers, and a new process remembers nothing.
    workos.clock.advance(600_000);
    const third = await sibling();
    const [received = ''] = reply.setCookies[0]!.split(';', 1);
    const later = await send(`${third.origin}/account`, { headers: { ...FETCH, cookie: received } });
    // The route requires a session in Acme.
    expect(later.status).toBe(200);
  },
);

/** Refreshes a session several times, each time with the newest cookie. */
async function refreshTimes(
  times: number,
  { workos, grace, origin }: TestApp & { grace: string },
): Promise<void> {
  let cookie = grace;
  for (let refresh = 0; refresh < times; refresh += 1) {
    workos.clock.advance(1000);
    const headers = { ...FETCH, cookie, origin };
    const reply = await send(`${origin}/switch?organizationId=org_acme`, { method: 'POST', headers });
    expect([reply.status, reply.setCookies.length]).toEqual([200, 1]);
    cookie = reply.setCookies[0]!.split(';', 1)[0]!;
  }
}

test.each([
  ['without a store', () => ({})],
  ['with a store', () => ({ store: mapStore() })],
  ['with sessions in a store', () => ({ store: mapStore(), session: 'store' as const })],
])(
  'T62 the results of several refreshes in another process do not bring the role back, %s',
  async (_, options) => {
    const site = await withAdministrator({ ...options(), routes: { switchOrganization: '/switch' } });
    const other = await site.sibling();
    await refreshTimes(4, site);
    await removeRole(site, other.origin);
    const reply = await send(`${other.origin}/account`, { headers: { ...FETCH, cookie: site.grace } });
    expect(reply.status).toBe(403);
  },
);

test('T62 the old claims are not accepted either if other processes have refreshed the session many times', async () => {
  const site = await withAdministrator({ routes: { switchOrganization: '/switch' } });
  const other = await site.sibling();
  await refreshTimes(8, site);
  await removeRole(site, other.origin);
  const ask = (cookie: string) => send(`${other.origin}/account`, { headers: { ...FETCH, cookie } });
  const problems = messagesOn('authkit:session');
  const reply = await ask(site.grace);
  expect(problems.map(({ why }) => why)).toEqual(['user_changed']);
  // The browser receives the newest tokens, with which the next request continues.
  expect([reply.status, reply.setCookies.length]).toEqual([503, 1]);
  expect((await ask(reply.setCookies[0]!.split(';', 1)[0]!)).status).toBe(403);
});

const bearer = (token: string) => ({ ...FETCH, authorization: `Bearer ${token}` });

test.each([
  ['without a store', () => ({})],
  ['with a store', () => ({ store: mapStore() })],
])('T62 an access token in Authorization is refused after its user has changed, %s', async (_, options) => {
  const authkit: Options = options();
  const site = await createAdministratorApp(authkit);
  const { workos, origin } = site;
  const other = await site.sibling();
  const newTokens = async () => ({
    '/api': await workos.accessToken({ user: GRACE }),
    '/mcp': await workos.oauthToken({ user: GRACE, audience: RESOURCE }),
  });
  const tokens = await newTokens();
  const ask = async (at: string, path: keyof typeof tokens, by = tokens) => {
    const { status, headers } = await send(at + path, { headers: bearer(by[path]) });
    return [status, headers['www-authenticate']];
  };
  expect(await ask(origin, '/api')).toEqual([200, undefined]);
  expect(await ask(origin, '/mcp')).toEqual([200, undefined]);
  await removeRole(site);
  // The client refreshes its tokens, which is necessary only once.
  const refreshed = await newTokens();
  for (const at of authkit.store ? [origin, other.origin] : [origin]) {
    for (const path of ['/api', '/mcp'] as const) {
      const [status, challenge] = await ask(at, path);
      expect(status).toBe(401);
      expect(challenge).toContain(
        'error="invalid_token", error_description="issued before the user changed"',
      );
    }
    expect(await ask(at, '/api', refreshed)).toEqual([403, 'Bearer error="insufficient_scope"']);
    expect(await ask(at, '/mcp', refreshed)).toEqual([200, undefined]);
  }
});

test('T62 a token that was issued after a change of its user does not carry the old profile of the user', async () => {
  const { workos, origin } = await createAdministratorApp();
  const ask = async () => {
    const token = await workos.oauthToken({ user: 'usr', audience: RESOURCE });
    const reply = await send(`${origin}/mcp`, { headers: bearer(token) });
    return (JSON.parse(reply.body) as { email: string }).email;
  };
  workos.putUser({ id: 'usr', email: 'grace@company.example' });
  expect(await ask()).toBe('grace@company.example');
  workos.clock.advance(2000);
  workos.putUser({ id: 'usr', email: 'grace@private.example' });
  await deliver(workos.webhook('user.updated', { id: 'usr' }), origin);
  expect(await ask()).toBe('grace@private.example');
  expect(await ask()).toBe('grace@private.example');
  expect(workos.callsTo('user')).toHaveLength(2);
});

test('a client whose user has changed can sign out with the access token that it has', async () => {
  const site = await createAdministratorApp();
  const { workos, origin } = site;
  const token = await workos.accessToken({ user: GRACE });
  await removeRole(site);
  const signOut = () => send(`${origin}/logout`, { method: 'POST', headers: bearer(token) });
  expect((await signOut()).status).toBe(200);
  expect(workos.callsTo('revokeSession')).toHaveLength(1);
  expect((await signOut()).status).toBe(401);
});
