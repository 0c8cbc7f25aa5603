import { describe, expect, test, vi } from 'vitest';
import type { AuthKitError } from 'authkit-express';
import { signedIn, type AuthKit } from 'authkit-express';
import { FRAMEWORKS, type Framework } from '../support/frameworks.js';
import type { Browser } from '../support/browser.js';
import { FETCH, send, type Reply } from '../support/browser.js';
import { mapStore } from '../support/map-store.js';
import { ADA, json, createTestApp, type Options, type TestApp } from '../support/app.js';

const ORGANIZATIONS = {
  organizations: [
    { id: 'org_a', name: 'A' },
    { id: 'org_b', name: 'B' },
    { id: 'org_c', name: 'C' },
    { id: 'org_d', name: 'D' },
  ],
  users: [
    {
      email: ADA,
      memberships: [
        { organizationId: 'org_a', role: 'admin' },
        { organizationId: 'org_b', role: 'viewer' },
        { organizationId: 'org_d', role: 'viewer' },
      ],
    },
  ],
};

const SWITCH = '/switch';
const FORM = { 'sec-fetch-mode': 'navigate', 'sec-fetch-site': 'same-origin', accept: 'text/html' };

/**
 * Ada is a member of A and B and has a session in A. `/where` returns the organization, and the handler of `/to/…`
 * switches to another.
 */
async function tenants(framework: Framework = 'express5', authkit: Options = {}) {
  const there = await createTestApp(framework, {
    workos: ORGANIZATIONS,
    authkit: { routes: { switchOrganization: SWITCH }, ...authkit },
    routes: (app, auth) => {
      app.route('/where', auth.requireAuth(), (req, res) => {
        const { organizationId, role } = signedIn(req);
        json(res, { organizationId, role });
      });
      for (const id of ['org_a', 'org_b', 'org_c'])
        app.route(`/to/${id}`, (req, res) => turn(auth, id, req, res));
    },
  });
  await give(there.browser, there);
  const where = async (browser = there.browser) =>
    (JSON.parse((await browser.fetch(`${there.origin}/where`)).body) as { organizationId: string })
      .organizationId;
  return { ...there, where };
}

async function give(browser: Browser, { cookie, origin }: TestApp): Promise<void> {
  await browser.jar.setCookie(await cookie({ user: ADA }), origin);
}

async function turn(auth: AuthKit, id: string, ...[req, res]: Parameters<AuthKit['signOut']>): Promise<void> {
  try {
    const switched = await auth.switchToOrganization(req, res, id);
    if (switched) json(res, { organizationId: switched.organizationId, here: signedIn(req).organizationId });
  } catch (error) {
    res.statusCode = (error as AuthKitError).status;
    json(res, { error: (error as AuthKitError).code });
  }
}

describe.each(FRAMEWORKS)('switching organizations on %s', (framework) => {
  test('switches to the requested organization with its role, and stays there', async () => {
    const { browser, origin, where } = await tenants(framework);
    expect(await where()).toBe('org_a');
    const reply = await browser.fetch(`${origin}/to/org_b`);
    expect(JSON.parse(reply.body)).toEqual({ organizationId: 'org_b', here: 'org_b' });
    expect(JSON.parse((await browser.fetch(`${origin}/where`)).body)).toEqual({
      organizationId: 'org_b',
      role: 'viewer',
    });
  });

  test('a hundred simultaneous switches cause one call, and a simultaneous refresh of the old cookie keeps the session', async () => {
    const { browser, origin, workos, where } = await tenants(framework);
    const cookie = await browser.jar.getCookieString(origin);
    const headers = { ...FETCH, cookie };
    const replies = await Promise.all(
      Array.from({ length: 100 }, () => send(`${origin}/to/org_b`, { headers })),
    );
    for (const reply of replies) expect(JSON.parse(reply.body)).toMatchObject({ organizationId: 'org_b' });
    expect(workos.callsTo('refresh')).toHaveLength(1);
    const [line] = replies[0]!.setCookies;
    await browser.jar.setCookie(line!, origin);
    workos.clock.advance(600_000);
    expect(await where()).toBe('org_b');
  });

  test('an organization without a membership is 403, and the session is unchanged', async () => {
    const { browser, origin, where } = await tenants(framework);
    const reply = await browser.fetch(`${origin}/to/org_c`);
    expect([reply.status, JSON.parse(reply.body)]).toEqual([403, { error: 'forbidden' }]);
    expect(await where()).toBe('org_a');
  });

  test('during an outage, a switch by a session whose access token has expired is 503', async () => {
    const { browser, origin, where, workos } = await tenants(framework);
    workos.clock.advance(600_000);
    workos.fail({ on: 'refresh', status: 503 });
    for (const path of ['/to/org_b', `${SWITCH}?organizationId=org_b`]) {
      const reply = await browser.fetch(`${origin}${path}`, { method: 'POST' });
      expect([path, reply.status]).toEqual([path, 503]);
    }
    workos.recover();
    expect(await where()).toBe('org_a');
  });

  test('an ended session is signed out, and an outage is 503', async () => {
    const { browser, origin, where, workos } = await tenants(framework);
    const outage = workos.fail({ on: 'refresh', status: 503 });
    expect((await browser.fetch(`${origin}/to/org_b`)).status).toBe(503);
    outage.restore();
    workos.fail({ on: 'refresh', status: 401, times: 1 });
    expect((await browser.fetch(`${origin}/to/org_b`)).status).toBe(503);
    expect(await where()).toBe('org_a');
    workos.fail({ on: 'refresh', status: 400, body: { error: 'invalid_grant' } });
    expect((await browser.fetch(`${origin}/to/org_b`)).status).toBe(401);
    expect((await browser.fetch(`${origin}/where`)).status).toBe(401);
  });

  test.each(['/to/org_b', `${SWITCH}?organizationId=org_b`])(
    'a session that is ended during a switch is signed out: %s',
    async (path) => {
      const { auth, browser, origin, workos } = await tenants(framework);
      const session = await browser.fetch(`${origin}/account`);
      const { sessionId } = JSON.parse(session.body) as { sessionId: string };
      workos.fail({
        on: 'refresh',
        times: 1,
        alter: async (tokens) => {
          await auth.revokeSession(sessionId);
          return tokens;
        },
      });
      const reply = await browser.fetch(`${origin}${path}`, { method: 'POST' });
      expect([reply.status, JSON.parse(reply.body)]).toMatchObject([401, { error: 'unauthenticated' }]);
      expect((await browser.fetch(`${origin}/where`)).status).toBe(401);
    },
  );

  test('an organization that requires its own sign-in gets it, and the user returns to the same page', async () => {
    const { browser, origin, where, workos } = await tenants(framework);
    for (const code of ['sso_required', 'mfa_enrollment', 'mfa_challenge'] as const) {
      const step = workos.requireStep({ code, organizationId: 'org_b', on: 'refresh' });
      const script = await browser.fetch(`${origin}/to/org_b`);
      expect([script.status, JSON.parse(script.body)]).toEqual([403, { error: code }]);
      expect(await where()).toBe('org_a');
      const away = await browser.go(`${origin}/to/org_b?x=1`);
      expect(away.status).toBe(303);
      const asked = new URL(away.location!).searchParams;
      expect(asked.get('organization_id')).toBe('org_b');
      step.restore();
      const back = await browser.go(await workos.authorize(away.location!, { user: ADA }));
      expect(back.location).toBe(`${origin}/to/org_b?x=1`);
      expect(await where()).toBe('org_b');
      await browser.fetch(`${origin}/to/org_a`);
    }
  });
});

test('neither a page load, a form nor a script is sent to a sign-in that cannot help', async () => {
  const { browser, origin, where, workos } = await tenants();
  // The session is in this organization already, so the sign-in would lead back to the same refusal.
  workos.requireStep({ code: 'sso_required', organizationId: 'org_a', on: 'refresh' });
  for (const [id, error] of [
    ['org_c', 'forbidden'],
    ['org_a', 'sso_required'],
  ] as const) {
    const page = await browser.go(`${origin}/to/${id}`);
    expect([page.status, JSON.parse(page.body)]).toEqual([403, { error }]);
    const url = `${origin}${SWITCH}?organizationId=${id}`;
    const form = await browser.go(url, { method: 'POST', headers: FORM });
    expect(form.status).toBe(403);
    expect(form.body).not.toContain('organization_id=');
    const script = await browser.fetch(url, { method: 'POST' });
    expect([script.status, JSON.parse(script.body)]).toMatchObject([403, { error }]);
    expect(script.body).not.toContain('loginUrl');
  }
  expect(await where()).toBe('org_a');
});

test.each([
  ['the page of the form', '/where', '/where'],
  ['the default page, if the browser does not send a referrer', undefined, '/'],
])('after a form submission and a sign-in, the user returns to %s', async (_, page, expected) => {
  const { browser, origin, where, workos } = await tenants();
  const step = workos.requireStep({ code: 'sso_required', organizationId: 'org_b', on: 'refresh' });
  const headers = { ...FORM, ...(page === undefined ? {} : { referer: origin + page }) };
  const away = await browser.go(`${origin}/to/org_b`, { method: 'POST', headers });
  expect(away.status).toBe(303);
  step.restore();
  const back = await browser.go(await workos.authorize(away.location!, { user: ADA }));
  expect(back.location).toBe(origin + expected);
  expect(await where()).toBe('org_b');
});

describe.each([
  ['the cookie', 'cookie'],
  ['the store', 'store'],
] as const)('with a store, and with the session in %s', (_, session) => {
  /** Ada's session in A, at two processes. */
  async function sessionInA() {
    const there = await tenants('express5', { store: mapStore(), session });
    const { browser, origin, workos } = there;
    expect(await there.where()).toBe('org_a');
    const other = await there.sibling();
    const cookie = await browser.jar.getCookieString(origin);
    const switchTo = (id: string, at = origin) =>
      send(`${at}${SWITCH}?organizationId=${id}`, { method: 'POST', headers: { ...FETCH, cookie } });
    const whereAt = (at: string, by = cookie) => send(`${at}/where`, { headers: { ...FETCH, cookie: by } });
    /** The organizations in which the processes see the session of a response. */
    const whereAfter = async ({ setCookies }: Reply) => {
      const [sent = ''] = setCookies[0]!.split(';', 1);
      const replies = [await whereAt(origin, sent), await whereAt(other.origin, sent)];
      return replies.map(({ body }) => (JSON.parse(body) as { organizationId: string }).organizationId);
    };
    const requested = () => workos.callsTo('refresh').map(({ body }) => body?.['organization_id']);
    /** Sends a request while WorkOS handles a switch to B. Returns both responses. */
    const duringSwitchToB = async (ask: () => Promise<Reply>) => {
      workos.fail({ on: 'refresh', times: 1, delay: 100 });
      const switching = switchTo('org_b');
      await vi.waitFor(
        () => {
          expect(requested()).toEqual(['org_b']);
        },
        { interval: 5 },
      );
      const [switched, reply] = await Promise.all([switching, ask()]);
      expect(switched.status).toBe(200);
      return { switched, reply };
    };
    return { ...there, other, switchTo, whereAt, whereAfter, duringSwitchToB, requested };
  }

  test.each(['the same process', 'another process'])(
    'T69 the session is in the organization of the later of two simultaneous switches, which goes to %s',
    async (process) => {
      const { origin, other, switchTo, whereAfter, duringSwitchToB, requested } = await sessionInA();
      const at = process === 'the same process' ? origin : other.origin;
      const { reply } = await duringSwitchToB(() => switchTo('org_d', at));
      expect(reply.status).toBe(200);
      expect(requested()).toEqual(['org_b', 'org_d']);
      expect(await whereAfter(reply)).toEqual(['org_d', 'org_d']);
    },
  );

  test.each(['the same process', 'another process'])(
    'T69 a simultaneous switch that WorkOS refuses, and which goes to %s, does not undo a switch',
    async (process) => {
      const { origin, other, switchTo, whereAfter, duringSwitchToB, requested } = await sessionInA();
      const at = process === 'the same process' ? origin : other.origin;
      const { switched, reply } = await duringSwitchToB(() => switchTo('org_c', at));
      expect([reply.status, JSON.parse(reply.body)]).toMatchObject([403, { error: 'forbidden' }]);
      expect(requested()).toEqual(['org_b', 'org_c']);
      expect(await whereAfter(switched)).toEqual(['org_b', 'org_b']);
    },
  );

  test.each(['the same process', 'another process'])(
    'T69 a simultaneous request whose token has expired, and which goes to %s, does not undo a switch',
    async (process) => {
      const { origin, other, workos, whereAt, whereAfter, duringSwitchToB, requested } = await sessionInA();
      const at = process === 'the same process' ? origin : other.origin;
      const { switched, reply } = await duringSwitchToB(() => {
        workos.clock.advance(301_000);
        return whereAt(at);
      });
      expect([reply.status, JSON.parse(reply.body)]).toMatchObject([200, { organizationId: 'org_b' }]);
      expect(requested()).toEqual(['org_b']);
      for (const each of [switched, reply]) expect(await whereAfter(each)).toEqual(['org_b', 'org_b']);
    },
  );
});

test.each(['cookie', 'store'] as const)(
  'T69 a switch by the first request of a session from a cookie is kept, with session: %j',
  async (session) => {
    const { browser, origin, workos, where, sibling } = await tenants('express5', {
      store: mapStore(),
      session,
    });
    const reply = await browser.fetch(`${origin}${SWITCH}?organizationId=org_b`, { method: 'POST' });
    expect(reply.status).toBe(200);
    expect(await where()).toBe('org_b');
    const other = await sibling();
    expect(JSON.parse((await browser.fetch(`${other.origin}/where`)).body)).toMatchObject({
      organizationId: 'org_b',
    });
    workos.clock.advance(600_000);
    expect(await where()).toBe('org_b');
  },
);

describe('the route', () => {
  test('does not exist unless it is configured', async () => {
    const { origin, cookie } = await createTestApp('express5', { workos: ORGANIZATIONS });
    const headers = { ...FETCH, cookie: await cookie() };
    const reply = await send(`${origin}/switch-organization?organizationId=org_b`, {
      method: 'POST',
      headers,
    });
    expect(reply.status).toBe(404);
  });

  test('redirects a form to returnTo, and responds to a script with JSON', async () => {
    const { browser, origin, where } = await tenants();
    const form = await browser.go(`${origin}${SWITCH}?organizationId=org_b&returnTo=/where`, {
      method: 'POST',
      headers: FORM,
    });
    expect([form.status, form.location]).toEqual([303, `${origin}/where`]);
    expect(await where()).toBe('org_b');
    const script = await browser.fetch(`${origin}${SWITCH}?organization_id=org_a`, { method: 'POST' });
    expect([script.status, JSON.parse(script.body)]).toEqual([200, { organizationId: 'org_a' }]);
    expect(await where()).toBe('org_a');
  });

  test('accepts a body that the application has parsed, and rejects malformed values', async () => {
    const { default: express } = await import('express');
    const { browser, origin, where } = await (async () => {
      const there = await createTestApp('express5', {
        workos: ORGANIZATIONS,
        authkit: { routes: { switchOrganization: SWITCH } },
        mount: (app, auth) => {
          app.use(express.urlencoded({ extended: true }) as never);
          app.use(express.json({ strict: false }) as never);
          app.use(auth);
        },
        routes: (app, auth) => {
          app.route('/where', auth.requireAuth(), (req, res) => {
            json(res, { organizationId: signedIn(req).organizationId });
          });
        },
      });
      await give(there.browser, there);
      const ask = async () =>
        (JSON.parse((await there.browser.fetch(`${there.origin}/where`)).body) as { organizationId: string })
          .organizationId;
      return { ...there, where: ask };
    })();
    const headers = { ...FORM, 'content-type': 'application/x-www-form-urlencoded' };
    const post = (body: string) => browser.go(origin + SWITCH, { method: 'POST', headers, body });
    expect((await post('organizationId=org_b&returnTo=%2Fwhere')).location).toBe(`${origin}/where`);
    expect(await where()).toBe('org_b');
    for (const body of [
      '',
      'organizationId=',
      'organizationId[x]=org_a',
      'organizationId=a b',
      '__proto__=x',
    ])
      expect((await post(body)).status, body).toBe(400);
    expect((await post('organizationId=org_a&returnTo=https://evil.example')).location).toBe(`${origin}/`);
    const asJson = { ...FORM, 'content-type': 'application/json' };
    expect(
      (await browser.go(origin + SWITCH, { method: 'POST', headers: asJson, body: 'null' })).status,
    ).toBe(400);
  });

  test('another site or a link cannot switch the organization', async () => {
    const { browser, origin, where, workos } = await tenants();
    const url = `${origin}${SWITCH}?organizationId=org_b`;
    for (const headers of [
      { ...FORM, 'sec-fetch-site': 'cross-site' },
      { ...FORM, 'sec-fetch-site': 'same-site' },
      { accept: 'text/html', origin: 'https://evil.example', 'sec-fetch-site': '' },
    ])
      expect((await browser.go(url, { method: 'POST', headers })).status).toBe(403);
    expect((await browser.go(url)).status).toBe(404);
    expect(workos.callsTo('refresh')).toEqual([]);
    expect(await where()).toBe('org_a');
    expect((await send(url, { method: 'POST', headers: FETCH })).status).toBe(401);
  });

  test('if the organization requires its own sign-in, a form gets a page that redirects, and a script gets the URL', async () => {
    const { browser, origin, where, workos } = await tenants();
    const step = workos.requireStep({ code: 'sso_required', organizationId: 'org_b', on: 'refresh' });
    const url = `${origin}${SWITCH}?organizationId=org_b&returnTo=/where`;
    const script = await browser.fetch(url, { method: 'POST' });
    expect(script.status).toBe(403);
    const { error, loginUrl } = JSON.parse(script.body) as { error: string; loginUrl: string };
    expect([error, loginUrl]).toEqual(['sso_required', '/login?organizationId=org_b&returnTo=%2Fwhere']);
    const form = await browser.go(url, { method: 'POST', headers: FORM });
    expect([form.status, form.location]).toEqual([200, undefined]);
    step.restore();
    for (const away of [
      /href="([^"]+)"/.exec(form.body)![1]!.replace(/&(?:amp|#38);/g, '&'),
      (await browser.go(origin + loginUrl)).location!,
    ]) {
      expect(new URL(away).searchParams.get('organization_id')).toBe('org_b');
      const back = await browser.follow(await workos.authorize(away, { user: ADA }));
      expect(back.url).toBe(`${origin}/where`);
      expect(await where()).toBe('org_b');
    }
  });
});
