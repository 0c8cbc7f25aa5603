import onHeaders from 'on-headers';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { requireAuth } from 'authkit-express';
import { type Framework, FRAMEWORKS, type Handler } from '../support/frameworks.js';
import { type Browser, FETCH, NAVIGATION, type Reply, send } from '../support/browser.js';
import { withClaims } from '../support/claims.js';
import { mapStore } from '../support/map-store.js';
import { ADA, createTestApp, type Options, type TestApp, type TestAppOptions } from '../support/app.js';

const EXPIRED = 301_000;

interface SlowSite extends TestApp {
  /** Starts a request whose handler runs at once but whose response is sent only when `answer` is called. */
  slow: (path?: string) => Promise<{ answer: () => Promise<Reply> }>;
  me: (browser?: Browser) => Promise<{ email: string; organizationId: string | null; sessionId: string }>;
}

/** Ada is signed in to `org_a`, and her access token has expired. */
async function slowSite(
  framework: Framework = 'express5',
  authkit: Options = {},
  options: Pick<TestAppOptions, 'mount'> = {},
): Promise<SlowSite> {
  let started: (release: () => void) => void;
  const site = await createTestApp(framework, {
    ...options,
    workos: {
      replayWindow: 30,
      organizations: [
        { id: 'org_a', name: 'A' },
        { id: 'org_b', name: 'B' },
      ],
      users: [
        { email: ADA, memberships: [{ organizationId: 'org_a' }, { organizationId: 'org_b' }] },
        { email: 'grace@example.com', memberships: [{ organizationId: 'org_a' }] },
      ],
    },
    authkit: { routes: { switchOrganization: '/switch' }, ...authkit },
    routes: (app) => {
      const slow: Handler = (_req, res) => {
        started(() => res.end('slow'));
      };
      app.route('/slow', requireAuth(), slow);
      app.route('/slow-open', slow);
      app.route('/me', requireAuth(), (req, res) => {
        const { auth, user } = req as unknown as {
          auth: { organizationId: string | null; sessionId: string };
          user?: { email: string };
        };
        const { organizationId, sessionId } = auth;
        res.end(JSON.stringify({ email: user?.email, organizationId, sessionId }));
      });
    },
  });
  await site.browser.jar.setCookie(await site.cookie({ user: ADA, organizationId: 'org_a' }), site.origin);
  site.workos.clock.advance(EXPIRED);
  return {
    ...site,
    async slow(path = '/slow') {
      const isStarted = new Promise<() => void>((resolve) => (started = resolve));
      const reply = site.browser.fetch(new URL(path, site.origin).href);
      const release = await isStarted;
      return {
        answer: () => {
          release();
          return reply;
        },
      };
    },
    me: async (browser = site.browser) =>
      JSON.parse((await browser.fetch(`${site.origin}/me`)).body) as Awaited<ReturnType<SlowSite['me']>>,
  };
}

/** Ends Ada's session at WorkOS. The browser keeps its cookie, whose access token has expired. */
async function endAtWorkOS({ me, workos }: SlowSite): Promise<void> {
  workos.endSession((await me()).sessionId);
  workos.clock.advance(EXPIRED);
}

const namesOf = ({ setCookies }: Reply) => setCookies.map((line) => line.slice(0, line.indexOf('=')));

const sets = (reply: Reply) => reply.setCookies.filter((line) => /^wos-session=(?!;)/.test(line));

test.each(FRAMEWORKS)('on %s a slow response sets the session that it refreshed', async (framework) => {
  const site = await slowSite(framework);
  const { answer } = await site.slow();
  expect(sets(await answer())).toHaveLength(1);
  site.workos.clock.advance(60_000);
  expect(await site.me()).toMatchObject({ email: ADA, organizationId: 'org_a' });
});

test.each(FRAMEWORKS)(
  'on %s a slow response does not undo a switch of the organization',
  async (framework) => {
    const site = await slowSite(framework);
    const { answer } = await site.slow();
    const switched = await site.browser.fetch(`${site.origin}/switch?organizationId=org_b`, {
      method: 'POST',
    });
    expect(switched.status).toBe(200);
    expect(await site.me()).toMatchObject({ organizationId: 'org_b' });
    expect((await answer()).setCookies).toEqual([]);
    expect(await site.me()).toMatchObject({ organizationId: 'org_b' });
    site.workos.clock.advance(EXPIRED);
    expect(await site.me()).toMatchObject({ email: ADA, organizationId: 'org_b' });
  },
);

test('a slow response does not bring back a user after another one signed in', async () => {
  const site = await slowSite();
  const { answer } = await site.slow();
  await site.signIn('grace@example.com', '/login?prompt=login');
  expect(await site.me()).toMatchObject({ email: 'grace@example.com' });
  expect((await answer()).setCookies).toEqual([]);
  expect(await site.me()).toMatchObject({ email: 'grace@example.com' });
});

test('T69 a slow response with a session that needs several cookies does not clear the cookie of a new sign-in', async () => {
  const site = await slowSite();
  site.workos.fail({
    on: 'refresh',
    times: 1,
    alter: (body) => withClaims(site.workos, body, { plan: 'x'.repeat(4000) }),
  });
  const { answer } = await site.slow();
  await site.signIn('grace@example.com', '/login?prompt=login');
  expect((await answer()).setCookies).toEqual([]);
  expect(await site.me()).toMatchObject({ email: 'grace@example.com' });
});

test.each([
  ['the same', false],
  ['another', true],
])(
  'T69 a slow response to a session that WorkOS has ended does not clear the cookie of a sign-in at %s process',
  async (_, isOther) => {
    const site = await slowSite();
    const { origin } = isOther ? await site.sibling() : site;
    await endAtWorkOS(site);
    await site.browser.jar.setCookie('wos-signed-in=x', site.origin);
    const { answer } = await site.slow(`${origin}/slow-open`);
    await site.signIn(ADA, '/login');
    expect(await site.me()).toMatchObject({ email: ADA });
    // The other process does not know of the sign-in, so it goes by the time that the response has taken.
    const clock = vi.spyOn(performance, 'now').mockReturnValue(performance.now() + (isOther ? 3000 : 0));
    // The sign-in marker is cleared: the next sign-in must not be mistaken for a redirect loop.
    expect(namesOf(await answer())).toEqual(['wos-signed-in']);
    clock.mockRestore();
    expect(await site.me()).toMatchObject({ email: ADA });
  },
);

test('T69 a slow response to a session that WorkOS has ended does not clear the cookie of a sign-in that began without that session', async () => {
  const site = await slowSite();
  await endAtWorkOS(site);
  const { answer } = await site.slow('/slow-open');
  // Another tab's page clears the cookie, so the callback of the sign-in does not receive it.
  await site.browser.fetch(`${site.origin}/me`);
  expect(await site.browser.cookie(site.origin, 'wos-session')).toBeUndefined();
  await site.signIn();
  expect(namesOf(await answer())).not.toContain('wos-session');
  expect(await site.me()).toMatchObject({ email: ADA });
});

test('T12 the sign-in marker is kept if a new sign-in has replaced the ended session, so a redirect loop is found', async () => {
  const site = await slowSite();
  const { sessionId: sid } = await site.me();
  site.workos.endSession(sid);
  site.workos.clock.advance(EXPIRED);
  const old = await site.browser.cookie(site.origin, 'wos-session');
  site.workos.fail({ on: 'code', alter: (body) => withClaims(site.workos, body, { sid }) });
  await site.signIn(ADA, '/login');
  // The browser cannot replace the old cookie.
  const marker = await site.browser.cookie(site.origin, 'wos-signed-in');
  const cookie = `wos-session=${old}; wos-signed-in=${marker}`;
  const page = await send(`${site.origin}/me`, { headers: { ...NAVIGATION, cookie } });
  expect([page.status, page.setCookies]).toEqual([302, []]);
  const login = await send(page.location!, { headers: { ...NAVIGATION, cookie } });
  const [transaction = ''] = login.setCookies.map((line) => line.split(';', 1)[0]!);
  const callback = await site.workos.authorize(login.location!, { user: ADA });
  const end = await send(callback, { headers: { ...NAVIGATION, cookie: transaction } });
  expect([end.status, end.body.includes('Your sign-in was not kept')]).toEqual([400, true]);
});

test('the cookie of an ended session is cleared by one response in two seconds, until the browser stops sending it', async () => {
  const site = await slowSite();
  await endAtWorkOS(site);
  const cookie = await site.browser.jar.getCookieString(site.origin);
  const clock = vi.spyOn(performance, 'now');
  onTestFinished(() => {
    clock.mockRestore();
  });
  const start = performance.now();
  const namesAfter = async (ms: number) => {
    clock.mockReturnValue(start + ms);
    return namesOf(await send(`${site.origin}/me`, { headers: { ...FETCH, cookie } }));
  };
  const names: string[][] = [];
  for (const ms of [0, 1, 2000, 2001, 2002, 4002]) names.push(await namesAfter(ms));
  expect(names).toEqual([['wos-session'], [], [], ['wos-session'], [], ['wos-session']]);
});

test.each(FRAMEWORKS)(
  'on %s the cookie of an ended session is cleared, although other middleware adds a cookie to the same response',
  async (framework) => {
    const site = await slowSite(
      framework,
      {},
      {
        mount: (app, auth) => {
          app.use((_req, res, next) => {
            onHeaders(res, () => {
              res.setHeader('Set-Cookie', ['other=1']);
            });
            next();
          });
          app.use(auth);
        },
      },
    );
    await endAtWorkOS(site);
    expect(namesOf(await site.browser.fetch(`${site.origin}/me`))).toEqual(['other', 'wos-session']);
  },
);

test('a slow response does not bring back a user after a sign-out', async () => {
  const site = await slowSite();
  const { answer } = await site.slow();
  await site.browser.fetch(`${site.origin}/logout`, { method: 'POST' });
  expect((await answer()).setCookies).toEqual([]);
  expect((await site.browser.fetch(`${site.origin}/me`)).status).toBe(401);
});

test('a sign-out with the cookie of before a refresh ends the session, even if the refresh gave it a new ID', async () => {
  const site = await slowSite();
  const old = await site.browser.jar.getCookieString(site.origin);
  site.workos.fail({
    on: 'refresh',
    times: 1,
    alter: (body) => withClaims(site.workos, body, { sid: 'session_new' }),
  });
  const { answer } = await site.slow();
  await send(`${site.origin}/logout`, { method: 'POST', headers: { cookie: old } });
  expect((await answer()).setCookies).toEqual([]);
});

test('a sign-in does not end its own session if that continues the one before', async () => {
  const site = await slowSite();
  const alter = (body: Record<string, unknown>) => withClaims(site.workos, body, { sid: 'session_new' });
  const old = await site.browser.cookie(site.origin, 'wos-session');
  site.workos.fail({ on: 'refresh', times: 1, alter });
  expect(await site.me()).toMatchObject({ sessionId: 'session_new' });
  await site.browser.jar.setCookie(`wos-session=${old!}`, site.origin);
  site.workos.fail({ on: 'code', alter });
  await site.signIn(ADA, '/login?prompt=login');
  expect(await site.me()).toMatchObject({ sessionId: 'session_new' });
});

test('a slow response does not undo a new sign-in in the same WorkOS session', async () => {
  const site = await slowSite();
  const { sessionId: sid } = await site.me();
  site.workos.clock.advance(EXPIRED);
  const { answer } = await site.slow();
  site.workos.fail({
    on: 'code',
    alter: (body) => withClaims(site.workos, body, { sid }),
  });
  await site.signIn(ADA, '/login');
  const cookie = await site.browser.cookie(site.origin, 'wos-session');
  expect((await answer()).setCookies).toEqual([]);
  expect(await site.browser.cookie(site.origin, 'wos-session')).toBe(cookie);
  expect(await site.me()).toMatchObject({ email: ADA, sessionId: sid });
});

test('T69 a refresh that finishes after a new sign-in in the same WorkOS session does not undo the sign-in', async () => {
  const site = await slowSite();
  const { sessionId: sid } = await site.me();
  site.workos.clock.advance(EXPIRED);
  let release: () => void = () => undefined;
  const isSignedIn = new Promise<void>((resolve) => (release = resolve));
  site.workos.fail({
    on: 'refresh',
    times: 1,
    alter: async (body) => {
      await isSignedIn;
      return body;
    },
  });
  const refreshed = site.browser.fetch(`${site.origin}/me`);
  site.workos.fail({
    on: 'code',
    alter: (body) => withClaims(site.workos, body, { sid }),
  });
  await site.signIn(ADA, '/login');
  release();
  const { status, setCookies } = await refreshed;
  expect([status, setCookies]).toEqual([200, []]);
});

test('a long poll does not put back a session that was refreshed several times meanwhile', async () => {
  const site = await slowSite();
  const { answer } = await site.slow();
  for (let refresh = 0; refresh < 4; refresh += 1) {
    expect(await site.me()).toMatchObject({ email: ADA });
    site.workos.clock.advance(EXPIRED);
  }
  expect((await answer()).setCookies).toEqual([]);
  expect(await site.me()).toMatchObject({ email: ADA });
});

test('a long poll without other requests sets the session that it refreshed, however long it took', async () => {
  const site = await slowSite();
  const { answer } = await site.slow();
  site.workos.clock.advance(4 * EXPIRED);
  expect(sets(await answer())).toHaveLength(1);
  expect(await site.me()).toMatchObject({ email: ADA });
});

test('a browser that missed the response of a switch gets the newest session with its old cookie', async () => {
  const site = await slowSite();
  const old = await site.browser.jar.getCookieString(site.origin);
  await site.browser.fetch(`${site.origin}/switch?organizationId=org_b`, { method: 'POST' });
  await site.browser.jar.removeAllCookies();
  await site.browser.jar.setCookie(old, site.origin);
  expect(await site.me()).toMatchObject({ email: ADA, organizationId: 'org_b' });
  site.workos.clock.advance(EXPIRED);
  expect(await site.me()).toMatchObject({ email: ADA, organizationId: 'org_b' });
  expect(site.workos.callsTo('refresh').filter(({ status }) => status !== 200)).toEqual([]);
});

describe.each(['cookie', 'store'] as const)('with several processes, and with session: %j', (session) => {
  /** Ada's expired session, at a process that has just read from the store that the session has not ended. */
  async function twoProcesses() {
    const site = await slowSite('express5', { store: mapStore(), session });
    const { origin } = await site.sibling();
    await site.browser.fetch(`${origin}/me`);
    const headers = { ...FETCH, cookie: await site.browser.jar.getCookieString(origin) };
    site.workos.clock.advance(EXPIRED);
    return { ...site, meAtOther: () => send(`${origin}/me`, { headers }) };
  }

  test('T69 a refresh that finishes after a sign-in at another process does not undo the sign-in', async () => {
    const { workos, meAtOther, signIn } = await twoProcesses();
    let release = () => {};
    const isSignedIn = new Promise<void>((resolve) => (release = resolve));
    workos.fail({
      on: 'refresh',
      times: 1,
      alter: async (body) => {
        await isSignedIn;
        return body;
      },
    });
    const refreshed = meAtOther();
    await vi.waitFor(() => {
      expect(workos.callsTo('refresh')).toHaveLength(2);
    });
    await signIn('grace@example.com', '/login?prompt=login');
    release();
    const reply = await refreshed;
    expect([reply.status, reply.setCookies]).toEqual([401, []]);
  });

  test('T69 the result of an earlier refresh does not undo a sign-in at another process', async () => {
    const { meAtOther, signIn } = await twoProcesses();
    expect(sets(await meAtOther())).toHaveLength(1);
    await signIn('grace@example.com', '/login?prompt=login');
    const reply = await meAtOther();
    expect([reply.status, reply.setCookies]).toEqual([401, []]);
  });
});
