import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AuthenticationResponse, WorkOS } from '@workos-inc/node';
import { describe, expect, test } from 'vitest';
import type { Auth, AuthKit, AuthKitError } from 'authkit-express';
import { createTestApp, json, type Options, type TestAppOptions } from '../support/app.js';
import { deliver } from '../support/administrator.js';
import { Browser, FETCH } from '../support/browser.js';
import { FRAMEWORKS, type Framework } from '../support/frameworks.js';
import { mapStore } from '../support/map-store.js';
import { messagesOn } from '../support/events.js';

const ADA = 'ada@example.com';
const GRACE = 'grace@example.com';
const PASSWORD = 'difference-engine';

const ENVIRONMENT = {
  organizations: [{ id: 'org_engines', name: 'Engines' }],
  users: [
    { id: 'user_ada', email: ADA, password: PASSWORD, memberships: [{ organizationId: 'org_engines' }] },
    { id: 'user_grace', email: GRACE, password: PASSWORD },
  ],
};

type SaveOptions = Parameters<AuthKit['saveSession']>[3];

/** What the next request does with WorkOS's response. */
interface Behaviour {
  alter?: (response: AuthenticationResponse) => unknown;
  options?: SaveOptions;
}

/**
 * An application with its own password form: `POST /password?email=…`. It responds with `req.auth` as it is after
 * `saveSession()`, or with the error.
 */
async function start(framework: Framework, { authkit, ...more }: TestAppOptions = {}) {
  const next: Behaviour = {};
  const results: unknown[] = [];
  const app = await createTestApp(framework, {
    workos: ENVIRONMENT,
    ...more,
    ...(authkit ? { authkit } : {}),
    routes: (site, auth) => {
      const password = async (req: IncomingMessage, res: ServerResponse) => {
        const email = new URL(req.url ?? '', 'http://x').searchParams.get('email')!;
        const { clientId } = auth.workos;
        const response = await auth.workos.userManagement.authenticateWithPassword({
          clientId: clientId!,
          email,
          password: PASSWORD,
        });
        const passed = next.alter ? next.alter(response) : response;
        const saved = await auth.saveSession(req, res, passed as AuthenticationResponse, next.options);
        results.push(saved);
        if (!saved) return;
        const { auth: now, user } = req as IncomingMessage & { auth: Auth; user?: { email?: string } };
        const sessionId = now.type === 'session' ? now.sessionId : undefined;
        json(res, { returnTo: saved.returnTo, isSame: saved.auth === now, type: now.type, sessionId, user });
      };
      site.route('/password', (req, res, pass) => {
        password(req, res).catch((error: unknown) => {
          results.push(error);
          if (res.headersSent) return;
          if (!(error instanceof Error)) pass(error);
          const { code, status = 500, message } = error as Partial<AuthKitError>;
          res.statusCode = status;
          json(res, { code, message });
        });
      });
    },
  });
  const post = (browser: Browser, email = ADA, headers: Record<string, string> = {}) =>
    browser.fetch(`${app.origin}/password?email=${email}`, {
      method: 'POST',
      headers: { origin: app.origin, ...headers },
    });
  const who = async (browser: Browser) =>
    JSON.parse((await browser.go(`${app.origin}/open`)).body) as { email: string | null; sessionId?: string };
  return { ...app, next, results, post, who };
}

describe.each(FRAMEWORKS)('saveSession() on %s', (framework) => {
  test('signs a user in who has signed in by a password in the application', async () => {
    const { post, who, browser, origin } = await start(framework);
    const reply = await post(browser);
    expect(JSON.parse(reply.body)).toMatchObject({
      returnTo: '/',
      isSame: true,
      type: 'session',
      user: { email: ADA },
    });
    expect(await who(browser)).toMatchObject({ email: ADA, type: 'session' });
    expect((await browser.go(`${origin}/account`)).status).toBe(200);
  });

  test('the session is refreshed, ends with the sign-out, and replaces the earlier one of the browser', async () => {
    const { post, who, browser, origin, workos } = await start(framework);
    await post(browser);
    const { sessionId } = await who(browser);
    const stolen = await browser.jar.getCookieString(origin);
    workos.clock.advance(600_000);
    expect(await who(browser)).toMatchObject({ email: ADA, sessionId });
    await post(browser, GRACE);
    expect(await who(browser)).toMatchObject({ email: GRACE });
    const copy = await new Browser().go(`${origin}/open`, { headers: { cookie: stolen } });
    expect(JSON.parse(copy.body)).toMatchObject({ email: null });
    await browser.go(`${origin}/logout`, { method: 'POST', headers: { origin } });
    expect(await who(browser)).toMatchObject({ email: null });
  });

  test('T01 a form of a page that hides its origin signs no browser in', async () => {
    const { post, who, browser, results } = await start(framework);
    for (const headers of [
      // An old browser, or http: there is no Fetch Metadata.
      { origin: 'null', 'sec-fetch-site': '' },
      { origin: 'null', 'sec-fetch-site': 'cross-site' },
    ]) {
      expect(JSON.parse((await post(browser, ADA, headers)).body)).toMatchObject({ code: 'forbidden' });
      expect(await who(browser)).toMatchObject({ email: null });
    }
    expect(results).toHaveLength(2);
    // With `Referrer-Policy: no-referrer`, which helmet sets, forms of the application hide it too.
    await post(browser, ADA, { origin: 'null', 'sec-fetch-site': 'same-origin' });
    expect(await who(browser)).toMatchObject({ email: ADA });
  });

  test('a session that ends while onSuccess runs stays ended', async () => {
    const hook: { run?: (accessToken: string) => Promise<unknown> } = {};
    const { post, who, browser, auth } = await start(framework, {
      authkit: {
        onSuccess: async ({ accessToken }) => {
          await hook.run?.(accessToken);
        },
      },
    });
    hook.run = (accessToken) => {
      const claims = JSON.parse(Buffer.from(accessToken.split('.')[1]!, 'base64url').toString()) as {
        sid: string;
      };
      return auth.revokeSession(claims.sid);
    };
    expect(JSON.parse((await post(browser)).body)).toMatchObject({ code: 'unauthenticated' });
    expect(await who(browser)).toMatchObject({ email: null });
    delete hook.run;
    await post(browser);
    expect(await who(browser)).toMatchObject({ email: ADA });
  });

  test('onSuccess can reject the sign-in, add data, choose the page, or respond itself', async () => {
    const seen: unknown[] = [];
    let decide: NonNullable<Options['onSuccess']> = () => undefined;
    const { post, who, browser, next, results } = await start(framework, {
      authkit: {
        returnToOrigins: ['https://docs.example.com'],
        onSuccess: (result) => {
          const { user, state, stateFrom, authenticationMethod, returnTo } = result;
          seen.push({ email: user.email, state, stateFrom, authenticationMethod, returnTo });
          return decide(result);
        },
      },
    });
    next.options = { returnTo: '/next?page=1', state: { plan: 7 } };
    decide = () => ({ reject: 'not today' });
    expect(JSON.parse((await post(browser)).body)).toMatchObject({ code: 'sign_in_rejected' });
    expect(await who(browser)).toMatchObject({ email: null });
    decide = ({ res }) => {
      res.statusCode = 202;
      res.end('later');
    };
    expect((await post(browser)).status).toBe(202);
    expect(results.at(-1)).toBe(undefined);
    expect(await who(browser)).toMatchObject({ email: null });
    decide = () => ({ returnTo: 'https://docs.example.com/x', data: { plan: 'pro' } });
    expect(JSON.parse((await post(browser)).body)).toMatchObject({ returnTo: 'https://docs.example.com/x' });
    expect(results.at(-1)).toMatchObject({ auth: { data: { plan: 'pro' } } });
    expect(seen.at(-1)).toEqual({
      email: ADA,
      state: { plan: 7 },
      stateFrom: 'app',
      authenticationMethod: 'Password',
      returnTo: '/next?page=1',
    });
  });
});

test('an error of onSuccess that is a bug is thrown as it is', async () => {
  const bug = new Error('no database');
  const { post, who, browser, results } = await start('express5', {
    authkit: {
      onSuccess: () => {
        throw bug;
      },
    },
  });
  expect((await post(browser)).status).toBe(500);
  expect(results).toEqual([bug]);
  expect(await who(browser)).toMatchObject({ email: null });
});

test('a returnTo to another site is ignored', async () => {
  const { post, browser, next } = await start('express5');
  for (const returnTo of ['https://evil.example/', '//evil.example', '/\\evil.example', '/login']) {
    next.options = { returnTo };
    expect(JSON.parse((await post(browser)).body), returnTo).toMatchObject({ returnTo: '/' });
  }
});

test('a first sign-in saves its attributes, and a role that is not offered is refused', async () => {
  const { post, browser, next, workos } = await start('express5', {
    authkit: { signUp: { roles: ['editor'], save: true } },
  });
  const user = workos.putUser({ email: 'mary@example.com', password: PASSWORD });
  next.options = { attributes: { displayName: 'Mary S.', metadata: { team: 'x' } } };
  expect((await post(browser, 'mary@example.com')).status).toBe(200);
  expect(workos.users().find(({ id }) => id === user.id)).toMatchObject({ metadata: { team: 'x' } });
  next.options = { attributes: { role: 'admin' } };
  expect(JSON.parse((await post(browser, 'mary@example.com')).body)).toMatchObject({
    code: 'invalid_request',
  });
});

test('loadUser runs for the new user before the promise is fulfilled', async () => {
  const { post, browser } = await start('express5', {
    authkit: { loadUser: async ({ user }) => ({ email: `row of ${user.email}` }) },
  });
  await post(browser, GRACE);
  expect(JSON.parse((await post(browser, ADA)).body)).toMatchObject({ user: { email: `row of ${ADA}` } });
});

test('the sign-in is published', async () => {
  const events = messagesOn('authkit:sign-in');
  const { post, browser } = await start('express5');
  await post(browser);
  expect(events).toMatchObject([{ userId: 'user_ada', authenticationMethod: 'Password' }]);
});

describe.each(['cookie', 'store'] as const)('with a store and session: %s', (session) => {
  const withStore = { authkit: { session, store: mapStore() } };

  test('the session is refreshed and ends in every process', async () => {
    const { post, who, browser, origin, workos, sibling } = await start('express5', withStore);
    const other = await sibling();
    await post(browser);
    const cookie = await browser.jar.getCookieString(origin);
    const there = async () =>
      JSON.parse((await new Browser().go(`${other.origin}/open`, { headers: { cookie } })).body) as object;
    expect(await there()).toMatchObject({ email: ADA });
    workos.clock.advance(600_000);
    expect(await who(browser)).toMatchObject({ email: ADA });
    await post(browser, GRACE);
    // Other processes query the store at most twice a second.
    await expect.poll(there).toMatchObject({ email: null });
  });

  test('the same response can be saved twice', async () => {
    const { post, browser, next, origin, sibling } = await start('express5', withStore);
    const other = await sibling();
    let first: unknown;
    next.alter = (response) => (first ??= response);
    await post(browser);
    await post(browser);
    // A process that has nothing cached from the first time.
    const cookie = await browser.jar.getCookieString(origin);
    const reply = await new Browser().go(`${other.origin}/open`, { headers: { cookie } });
    expect(JSON.parse(reply.body)).toMatchObject({ email: ADA });
  });
});

describe('a response that cannot be right is refused with what to do, and changes nothing', () => {
  const shapes: [name: string, alter: Behaviour['alter'] & {}, message: RegExp][] = [
    ['nothing', () => undefined, /must be that of an authenticate call/],
    ['null', () => null, /must be that of an authenticate call/],
    ['a promise', (response) => Promise.resolve(response), /promise: await it first/],
    ['a token', ({ accessToken }) => accessToken, /pass the whole response/],
    ['a list', (response) => [response], /must be that of an authenticate call/],
    ['an error', () => new Error('no'), /must be that of an authenticate call/],
    ['an empty object', () => ({}), /has no accessToken, refreshToken, user/],
    ['without a refresh token', ({ refreshToken: _, ...others }) => others, /has no refreshToken\b/],
    ['with an empty token', (response) => ({ ...response, accessToken: '' }), /has no accessToken\b/],
    ['with a user of no id', (response) => ({ ...response, user: { email: ADA } }), /has no user\b/],
    ['with inherited tokens', (response) => Object.create(response) as object, /has no accessToken/],
    [
      'of the HTTP API',
      ({ accessToken, refreshToken, user }) => ({
        access_token: accessToken,
        refresh_token: refreshToken,
        user,
      }),
      /pass the one of the WorkOS SDK/,
    ],
    ['of the SSO API', () => ({ profile: { id: 'prof_1' }, accessToken: 'x' }), /mount sso\(\)/],
  ];

  test.each(shapes)('%s', async (_name, alter, message) => {
    const { post, who, browser, next, results } = await start('express5');
    await post(browser, GRACE);
    next.alter = alter;
    expect((await post(browser)).status).toBe(500);
    expect(results.at(-1)).toBeInstanceOf(TypeError);
    expect((results.at(-1) as Error).message).toMatch(/^saveSession\(req, res, authenticationResponse\): /);
    expect((results.at(-1) as Error).message).toMatch(message);
    expect(await who(browser)).toMatchObject({ email: GRACE });
  });

  test('tokens that are not valid for the user', async () => {
    const { post, who, browser, next, results, workos } = await start('express5');
    await post(browser, GRACE);
    const grace = (results[0] as { auth: { accessToken: string } }).auth.accessToken;
    const sign = (claims: object) =>
      workos.signToken({
        iss: `${workos.url}/user_management/${workos.options.clientId}`,
        sub: 'user_ada',
        sid: 'session_1',
        exp: Math.floor(workos.clock.now() / 1000) + 60,
        iat: Math.floor(workos.clock.now() / 1000),
        ...claims,
      });
    const [head, payload] = grace.split('.');
    const tokens: [string, RegExp][] = [
      [grace, /not that of the user/],
      [`${head}.${payload}.AAAA`, /not valid \(signature\)/],
      ['abc', /not valid/],
      [await sign({ iss: 'https://evil.example' }), /not valid \(issuer\)/],
      [await sign({ exp: 1 }), /has expired/],
    ];
    for (const [accessToken, message] of tokens) {
      next.alter = (response) => ({ ...response, accessToken });
      const reply = await post(browser);
      expect(JSON.parse(reply.body), accessToken).toMatchObject({ code: 'invalid_request' });
      expect((results.at(-1) as Error).message).toMatch(message);
    }
    expect(await who(browser)).toMatchObject({ email: GRACE });
  });

  test('the response of a session that has ended meanwhile', async () => {
    const { post, who, browser, next, auth } = await start('express5');
    let kept: unknown;
    next.alter = (response) => (kept ??= response);
    await post(browser);
    await auth.revokeSession((await who(browser)).sessionId!);
    expect(JSON.parse((await post(browser)).body)).toMatchObject({ code: 'invalid_request' });
    expect(await who(browser)).toMatchObject({ email: null });
  });

  test('if the keys of WorkOS are unavailable, the request is answered 503', async () => {
    const { post, browser, workos, who } = await start('express5', { authkit: { timeout: 500 } });
    workos.fail({ on: 'jwks', status: 503 });
    expect(JSON.parse((await post(browser)).body)).toMatchObject({ code: 'upstream_unavailable' });
    workos.recover();
    expect(await who(browser)).toMatchObject({ email: null });
  });
});

describe('a request that cannot sign in', () => {
  test.each([
    [{ origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }],
    [{ origin: 'https://evil.example' }],
    [{ 'sec-fetch-site': 'cross-site' }],
  ])('a form of another site, %j', async (headers) => {
    const { post, who, browser } = await start('express5');
    expect(JSON.parse((await post(browser, ADA, headers)).body)).toMatchObject({ code: 'forbidden' });
    expect(await who(browser)).toMatchObject({ email: null });
  });

  test('a link in an email may lead to it', async () => {
    const { browser, who, origin } = await start('express5');
    const headers = { 'sec-fetch-site': 'cross-site' };
    expect((await browser.go(`${origin}/password?email=${ADA}`, { headers })).status).toBe(200);
    expect(await who(browser)).toMatchObject({ email: ADA });
  });

  test('a page of a trusted origin may send one', async () => {
    const { post, browser } = await start('express5', {
      authkit: { trustedOrigins: ['https://app.example.com'] },
    });
    const headers = { ...FETCH, origin: 'https://app.example.com', 'sec-fetch-site': 'cross-site' };
    expect((await post(browser, ADA, headers)).status).toBe(200);
  });

  test('one whose response has been sent', async () => {
    const { post, browser, next, results } = await start('express5');
    next.alter = (response) => response;
    const { origin, workos } = await createTestApp('express5', {
      workos: ENVIRONMENT,
      routes: (site, auth) => {
        site.route('/late', (req, res) => {
          res.end('sent');
          auth
            .saveSession(req, res, {} as AuthenticationResponse)
            .catch((error: unknown) => results.push(error));
        });
      },
    });
    await browser.go(`${origin}/late`);
    await expect.poll(() => results.length).toBe(1);
    expect(results[0]).toBeInstanceOf(TypeError);
    await post(browser);
    expect(workos.calls).toEqual([]);
  });

  test('one without req and res', async () => {
    const { auth } = await start('express5');
    const call = auth.saveSession as unknown as (...given: unknown[]) => Promise<unknown>;
    await expect(call({ accessToken: 'x' })).rejects.toThrow(
      'pass the request and its response first: saveSession(req, res, authenticationResponse)',
    );
  });
});

test('a session that does not fit into cookies is an error', async () => {
  const { post, who, browser } = await start('express5', {
    authkit: { onSuccess: () => ({ data: { large: Array.from({ length: 9000 }, (_, index) => index) } }) },
  });
  expect(JSON.parse((await post(browser)).body)).toMatchObject({ code: 'cookie_too_large' });
  expect(await who(browser)).toMatchObject({ email: null });
});

test('a second factor, in two requests of the application', async () => {
  // What an application stores in its own session between the two requests. It is never sent to the browser.
  let pending = { pendingAuthenticationToken: '', authenticationChallengeId: '' };
  const password = async ({ userManagement, multiFactorAuth, clientId = '' }: WorkOS) => {
    const outcome = await userManagement
      .authenticateWithPassword({ clientId, email: ADA, password: PASSWORD })
      .catch((error: unknown) => error);
    const { pending_authentication_token: token, authentication_factors: factors } = (
      outcome as {
        rawData: { pending_authentication_token: string; authentication_factors: { id: string }[] };
      }
    ).rawData;
    const challenge = await multiFactorAuth.challengeFactor({ authenticationFactorId: factors[0]!.id });
    pending = { pendingAuthenticationToken: token, authenticationChallengeId: challenge.id };
  };
  const { origin, browser, workos } = await createTestApp('express5', {
    workos: ENVIRONMENT,
    routes: (site, auth) => {
      site.route('/password', (_req, res, next) => {
        password(auth.workos).then(() => res.end(), next);
      });
      site.route('/factor', (req, res, next) => {
        const code = new URL(req.url ?? '', origin).searchParams.get('code') ?? '';
        const { userManagement, clientId = '' } = auth.workos;
        userManagement
          .authenticateWithTotp({ clientId, code, ...pending })
          .then((response) => auth.saveSession(req, res, response))
          .then((saved) => {
            json(res, { email: saved?.auth.user.email });
          })
          .catch(next);
      });
    },
  });
  workos.requireStep({ code: 'mfa_challenge', user: ADA });
  expect((await browser.go(`${origin}/password`)).status).toBe(200);
  const reply = await browser.go(`${origin}/factor?code=${workos.totpCode(ADA)}`);
  expect(JSON.parse(reply.body)).toEqual({ email: ADA });
  expect((await browser.go(`${origin}/account`)).status).toBe(200);
});

/** An application in which `onSuccess` changes the user, and then does something else. */
async function startWithChange(
  afterwards: (site: Awaited<ReturnType<typeof start>>) => Promise<void> = () => Promise.resolve(),
) {
  const secret = 'whsec_of_this_test';
  const site: Awaited<ReturnType<typeof start>> = await start('express5', {
    workos: { ...ENVIRONMENT, webhookSecret: secret },
    mount: (app, auth) => {
      app.use('/hook', auth.webhooks({ secret }));
      app.use(auth);
    },
    authkit: {
      async onSuccess({ user: { id } }) {
        site.workos.clock.advance(3000);
        await deliver(site.workos.webhook('user.updated', { id }), site.origin);
        await afterwards(site);
      },
    },
  });
  return site;
}

test('if the user changes while onSuccess runs, for example by an update that it makes, the user is signed in with new tokens', async () => {
  const { post, origin, workos } = await startWithChange();
  const browser = new Browser();
  const reply = await post(browser);
  expect([reply.status, JSON.parse(reply.body)]).toMatchObject([200, { type: 'session', isSame: true }]);
  expect(workos.callsTo('refresh')).toHaveLength(1);
  expect((await browser.fetch(`${origin}/account`)).status).toBe(200);
  expect(workos.callsTo('refresh')).toHaveLength(1);
});

test('if the new tokens of that refresh cannot be verified, the browser receives them, and the error is that of an outage', async () => {
  const { post, origin, workos } = await startWithChange(async (site) => {
    await site.workos.rotateKeys();
    site.workos.fail({ on: 'jwks', status: 503 });
  });
  const browser = new Browser();
  const reply = await post(browser);
  expect([reply.status, JSON.parse(reply.body)]).toMatchObject([503, { code: 'upstream_unavailable' }]);
  expect(workos.callsTo('refresh')).toHaveLength(1);
  workos.recover();
  // WorkOS no longer accepts the refresh token that was passed to saveSession().
  workos.clock.advance(600_000);
  expect((await browser.fetch(`${origin}/account`)).status).toBe(200);
});
