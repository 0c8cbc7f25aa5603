import { describe, expect, test } from 'vitest';
import { ADA, createFrozenTestApp, createTestApp } from '../support/app.js';
import { withoutAuthTime } from '../support/auth-time.js';
import type { GuardRule, SignInOptions } from 'authkit-express';
import { FETCH, send } from '../support/browser.js';
import { withClaims } from '../support/claims.js';
import { FRAMEWORKS } from '../support/frameworks.js';

describe.each(FRAMEWORKS)('step-up authentication on %s', (framework) => {
  test('maxAge sends a page load through sign-in and back, and tells a script why, without a redirect loop', async () => {
    const { origin, browser, signIn, workos, served } = await createTestApp(framework, {
      rule: { maxAge: 300 },
    });
    const away = await browser.follow(`${origin}/open`);
    expect(away.status).toBe(200);
    const login = await browser.go(`${origin}/login?returnTo=/open`);
    await browser.follow(await workos.authorize(login.location!, { user: ADA }));
    workos.clock.advance(301_000);
    const stale = await browser.go(`${origin}/account?x=1`);
    expect(stale.location).toBe(`${origin}/login?returnTo=${encodeURIComponent('/account?x=1')}&maxAge=300`);
    const api = await browser.fetch(`${origin}/account`);
    expect(api.status).toBe(401);
    expect(api.headers['www-authenticate']).toBe(
      'Bearer error="insufficient_user_authentication", max_age="300"',
    );
    expect(JSON.parse(api.body)).toMatchObject({ error: 'step_up_required', loginUrl: '/login?maxAge=300' });
    expect(served()).toBe(0);
    const back = await signIn(ADA, '/account?x=1');
    expect(back.url).toBe(`${origin}/account?x=1`);
    expect(back.status).toBe(200);
    workos.clock.advance(301_000);
    expect((await browser.go(`${origin}/account`)).location).toContain('maxAge=300');
  });

  test('a provider that does not ask the user to authenticate again leads to 403, not to a redirect loop', async () => {
    const { origin, browser, workos, served } = await createTestApp(framework, { rule: { maxAge: 0 } });
    const login = await browser.go(`${origin}/login?returnTo=/open&maxAge=0`);
    await browser.follow(await workos.authorize(login.location!, { user: ADA }));
    workos.clock.advance(2000);
    expect((await browser.go(`${origin}/account`)).status).toBe(403);
    workos.clock.advance(10_000);
    expect((await browser.go(`${origin}/account`)).location).toContain('maxAge=0');
    expect(served()).toBe(0);
  });
});

describe('if the provider does not authenticate the user again', () => {
  interface Options {
    /** `auth_time` minus the current time, in seconds. By default, the claim is missing. */
    added?: number;
    signIn?: SignInOptions | (() => SignInOptions);
    rule: GuardRule;
  }
  /** A browser that has signed in, 1.5 seconds ago. */
  async function signedIn({ added, signIn = {}, rule }: Options) {
    const site = await createFrozenTestApp('express5', {
      rule,
      authkit: { signIn },
      routes: (app, auth) => {
        app.route('/refresh', (req, res, next) => {
          auth.refreshSession(req, res).then(() => res.end(), next);
        });
      },
    });
    const { origin, browser, workos } = site;
    const auth_time = added && Math.floor(workos.clock.now() / 1000) + added;
    workos.fail({ on: 'authenticate', alter: (body) => withClaims(workos, body, { auth_time }) });
    const signInAt = async (location: string) => {
      const login = await browser.go(location);
      await browser.go(await workos.authorize(login.location!, { user: ADA }));
      workos.clock.advance(1500);
      return new URL(login.location!).searchParams.get('max_age');
    };
    await signInAt(`${origin}/login?returnTo=/account`);
    /** Opens a guarded page, and signs in as often as the guard asks, at most four times. */
    const open = async () => {
      const asked: (string | null)[] = [];
      let reply = await browser.go(`${origin}/account`);
      while (reply.status === 302 && asked.length < 4) {
        asked.push(await signInAt(reply.location!));
        reply = await browser.go(`${origin}/account`);
      }
      return { asked, status: reply.status };
    };
    return { ...site, open };
  }

  test.each([
    [0, ['0']],
    [5, ['5', '0']],
    [60, ['60', '0']],
    [300, ['300', '0']],
  ])(
    'and auth_time keeps its value, maxAge %i leads to 403, not to a redirect loop',
    async (maxAge, asked) => {
      const { origin, browser, open, served, workos } = await signedIn({ added: -100_000, rule: { maxAge } });
      expect(await open()).toEqual({ asked, status: 403 });
      await browser.fetch(`${origin}/refresh`, { method: 'POST' });
      expect(workos.callsTo('refresh')).toHaveLength(1);
      expect(await open()).toEqual({ asked: [], status: 403 });
      expect(served()).toBe(0);
    },
  );

  // Without `exactOptionalPropertyTypes`, TypeScript accepts this.
  const UNDEFINED = { maxAge: undefined } as object as SignInOptions;

  test.each<[string, SignInOptions | (() => SignInOptions), string[]]>([
    ['a larger maxAge', { maxAge: 3600 }, ['0']],
    ['an undefined maxAge', UNDEFINED, ['60', '0']],
    ['a function with an undefined maxAge', () => UNDEFINED, ['60', '0']],
  ])('and signIn sets %s, the guard asks for a more recent authentication', async (_, signIn, asked) => {
    const { open } = await signedIn({ added: -600, signIn, rule: { maxAge: 60 } });
    expect(await open()).toEqual({ asked, status: 403 });
  });

  test.each([
    [undefined, 0, ['0'], 403],
    [undefined, 5, ['0'], 200],
    [undefined, 300, ['0'], 200],
    [300, 300, ['0'], 200],
    [0, 300, [], 200],
  ])(
    'and auth_time is missing, after a sign-in with maxAge %s a guard with maxAge %i asks for %j: %i',
    async (pinned, maxAge, asked, status) => {
      const signIn = pinned === undefined ? {} : { maxAge: pinned };
      const { open } = await signedIn({ signIn, rule: { maxAge } });
      expect(await open()).toEqual({ asked, status });
    },
  );

  test.each([
    [0.5, undefined, '0', '0'],
    [1e21, -1e22, '999999999', '0'],
  ])('maxAge %d of a guard is sent as a whole number', async (maxAge, added, asked, last) => {
    const site = await signedIn({ ...(added === undefined ? {} : { added }), rule: { maxAge } });
    const reply = await site.browser.fetch(`${site.origin}/account`);
    expect(reply.headers['www-authenticate']).toContain(`max_age="${asked}"`);
    expect(await site.open()).toEqual({ asked: [...new Set([asked, last])], status: 403 });
  });
});

test('a link cannot ask for less than signIn does', async () => {
  const { origin, browser } = await createTestApp('express5', { authkit: { signIn: { maxAge: 60 } } });
  const { location } = await browser.go(`${origin}/login?maxAge=3600`);
  expect(new URL(location!).searchParams.get('max_age')).toBe('60');
});

test.each([
  ['becomes too old just after the sign-in', 60, -57, 200],
  ['becomes too old during the sign-in', 60, -62, 302],
  ['is recent enough for the sign-in, but not for the guard', 3600, -2000, 302],
])('an authentication that %s is asked for again', async (_, maxAge, added, status) => {
  const { origin, browser, workos } = await createFrozenTestApp('express5', { rule: { maxAge: 60 } });
  const auth_time = Math.floor(workos.clock.now() / 1000) + added;
  workos.fail({ on: 'authenticate', alter: (body) => withClaims(workos, body, { auth_time }) });
  const login = await browser.go(`${origin}/login?returnTo=/account&maxAge=${maxAge}`);
  await browser.go(await workos.authorize(login.location!, { user: ADA }));
  expect((await browser.go(`${origin}/account`)).status).toBe(status);
  workos.clock.advance(5000);
  expect((await browser.go(`${origin}/account`)).location).toContain('maxAge=0');
});

test('T48 a long maxAge in a link does not count as a fresh authentication', async () => {
  const { origin, workos, browser } = await createTestApp('express5', { rule: { maxAge: 60 } });
  const fault = await withoutAuthTime(workos);
  for (const [maxAge, status] of [
    [999_999_999, 401],
    [0, 200],
  ]) {
    const login = await browser.go(`${origin}/login?maxAge=${maxAge!}`);
    await browser.go(await workos.authorize(login.location!, { user: ADA }));
    expect((await browser.go(`${origin}/account`, { headers: FETCH })).status).toBe(status);
  }
  fault.restore();
});

test('T48 a sign-in that WorkOS asks to retry still needs an authentication that is as recent', async () => {
  const { origin, workos, browser } = await createTestApp('express5', { rule: { maxAge: 60 } });
  const fault = await withoutAuthTime(workos);
  const sent = (location: string | undefined) => new URL(location!).searchParams.get('max_age');
  for (const [query, maxAge] of [
    ['maxAge=60', '60'],
    ['prompt=login', '0'],
    ['', null],
  ] as const) {
    const step = workos.requireStep({ code: 'sso_required', user: ADA });
    const login = await browser.go(`${origin}/login?${query}`);
    const retry = await browser.go(await workos.authorize(login.location!, { user: ADA }));
    expect([query, sent(retry.location)]).toEqual([query, maxAge]);
    await browser.go(await workos.authorize(retry.location!, { user: ADA }));
    const reply = await browser.go(`${origin}/account`, { headers: FETCH });
    expect([query, reply.status]).toEqual([query, maxAge === null ? 401 : 200]);
    step.restore();
  }
  fault.restore();
});

test.each([
  ['a day after the token was issued', (now: number) => now + 86_400],
  ['in milliseconds', (now: number) => now * 1000],
  ['larger than any date', () => 1e300],
])('T48 an auth_time that is %s does not count as a fresh authentication', async (_, authTime) => {
  const { origin, workos } = await createTestApp('express5', {
    rule: { maxAge: 60, accepts: ['session', 'bearer'] } as GuardRule,
  });
  const claims = { auth_time: authTime(Math.floor(Date.now() / 1000)) };
  const cookie = await workos.signIn({ claims });
  const authorization = `Bearer ${await workos.accessToken({ claims })}`;
  for (const credential of [{ cookie }, { authorization }])
    expect((await send(`${origin}/account`, { headers: { ...FETCH, ...credential } })).status).toBe(401);
});

test('T48 an auth_time that is a few seconds after the token was issued counts, because clocks differ', async () => {
  const { origin, workos } = await createTestApp('express5', { rule: { maxAge: 60 } });
  const cookie = await workos.signIn({ claims: { auth_time: Math.floor(Date.now() / 1000) + 5 } });
  expect((await send(`${origin}/account`, { headers: { ...FETCH, cookie } })).status).toBe(200);
});

/** An app whose clock differs from WorkOS's clock by so many milliseconds, and that knows the difference. */
async function appWithClock(difference: number) {
  const start = Date.now();
  let clockOfWorkOS = () => start;
  const site = await createTestApp('express5', {
    authkit: { now: () => clockOfWorkOS() + difference },
    workos: { now: start },
    rule: { maxAge: 60 },
  });
  clockOfWorkOS = site.workos.options.now;
  // The readiness check fetches the keys, whose response shows the time of WorkOS.
  await site.auth.ready();
  return site;
}

const DIFFERENCES = [
  ['ahead of', 120_000],
  ['behind', -120_000],
] as const;

test.each(DIFFERENCES)(
  'T63 an authentication counts as recent for as long as maxAge says, if the clock is two minutes %s that of WorkOS',
  async (_, difference) => {
    const { origin, workos, cookie, auth } = await appWithClock(difference);
    const session = await cookie({ user: ADA });
    const ask = async () =>
      (await send(`${origin}/account`, { headers: { ...FETCH, cookie: session } })).status;
    expect(await ask()).toBe(200);
    workos.clock.advance(59_000);
    await auth.ready();
    expect(await ask()).toBe(200);
    workos.clock.advance(3000);
    expect(await ask()).toBe(401);
  },
);

test.each(DIFFERENCES)(
  'T63 so does a sign-in with maxAge whose token has no auth_time, if the clock is two minutes %s that of WorkOS',
  async (_, difference) => {
    const { origin, workos, browser, auth, served } = await appWithClock(difference);
    await withoutAuthTime(workos);
    const login = await browser.go(`${origin}/login?maxAge=0`);
    await browser.go(await workos.authorize(login.location!, { user: ADA }));
    const ask = async () => (await browser.go(`${origin}/account`, { headers: FETCH })).status;
    workos.clock.advance(58_000);
    await auth.ready();
    expect([await ask(), served()]).toEqual([200, 1]);
    workos.clock.advance(4000);
    expect([await ask(), served()]).toEqual([401, 1]);
  },
);
