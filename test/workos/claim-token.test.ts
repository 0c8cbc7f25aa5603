import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { Fault } from '../../src/testing/faults.js';
import { createFrozenTestApp, type Options } from '../support/app.js';
import { NAVIGATION, send } from '../support/browser.js';
import { messagesOn } from '../support/events.js';
import { FRAMEWORKS, type Framework } from '../support/frameworks.js';
import { problemsOf, GOOD } from '../config/problem-of.js';

const PATH = '/x/one-shot-environments/claim-nonces';
const claimToken = 'clm_a_token_for_this_test';

/** An application whose WorkOS gives this response when the claim token is exchanged. */
async function appWith(
  answer: Omit<Fault, 'on'>,
  authkit: Options = { claimToken },
  framework: Framework = 'express5',
) {
  const app = await createFrozenTestApp(framework, {
    authkit,
    routes: (site, auth) => {
      site.route('/own', (req, res, next) => {
        auth.getSignInUrl(req, res, { claimNonce: 'nonce_of_the_app' }).then((url) => {
          res.writeHead(302, { Location: url }).end();
        }, next);
      });
      site.route('/elsewhere', (req, res, next) => {
        const local = req.url?.includes('local') ? 'http://localhost:3000/other' : undefined;
        const redirectUri = local ?? 'https://app.example.com/callback';
        auth.getSignInUrl(req, res, { redirectUri }).then((url) => {
          res.writeHead(302, { Location: url }).end();
        }, next);
      });
    },
  });
  app.workos.fail({ on: { method: 'POST', path: PATH }, status: 200, ...answer });
  const login = async (path = '/login') => {
    const reply = await send(app.origin + path, { headers: NAVIGATION });
    expect(reply.status).toBe(302);
    return new URL(reply.location!).searchParams.getAll('claim_nonce');
  };
  const calls = () => app.workos.calls.filter(({ path }) => path === PATH);
  return { ...app, login, calls };
}

function warnings() {
  const seen: Error[] = [];
  const spy = vi.spyOn(process, 'emitWarning').mockImplementation((message, options) => {
    seen.push(Object.assign(new Error(String(message)), options));
  });
  onTestFinished(() => {
    spy.mockRestore();
  });
  return seen;
}

afterEach(() => {
  delete process.env['WORKOS_CLAIM_TOKEN'];
});

describe.each(FRAMEWORKS)('the claim token of an environment without an owner, on %s', (framework) => {
  test('is exchanged for a nonce at every sign-in', async () => {
    const { login, calls, workos } = await appWith({ body: { nonce: 'nonce_1' } }, { claimToken }, framework);
    expect(await login()).toEqual(['nonce_1']);
    expect(await login()).toEqual(['nonce_1']);
    expect(calls().map(({ body }) => body)).toEqual(
      Array(2).fill({ client_id: workos.options.clientId, claim_token: claimToken }),
    );
  });
});

test('can be set as WORKOS_CLAIM_TOKEN', async () => {
  process.env['WORKOS_CLAIM_TOKEN'] = claimToken;
  const { login } = await appWith({ body: { nonce: 'nonce_1' } }, {});
  expect(await login()).toEqual(['nonce_1']);
});

test('without one, WorkOS is not asked', async () => {
  const { login, calls } = await appWith({ body: { nonce: 'nonce_1' } }, {});
  expect(await login()).toEqual([]);
  expect(calls()).toEqual([]);
});

test('a nonce from code is sent as it is, and a link cannot set one', async () => {
  const { login, calls } = await appWith({ body: { nonce: 'nonce_1' } });
  expect(await login('/own')).toEqual(['nonce_of_the_app']);
  expect(calls()).toEqual([]);
  expect(await login('/login?claimNonce=evil&claim_nonce=evil')).toEqual(['nonce_1']);
});

describe('a sign-in starts without a nonce', () => {
  test('if the environment has an owner, and WorkOS is not asked again', async () => {
    const seen = warnings();
    const { login, calls, workos } = await appWith({ status: 409 });
    expect(await login()).toEqual([]);
    workos.clock.advance(86_400_000);
    expect(await login()).toEqual([]);
    expect(calls()).toHaveLength(1);
    expect(seen).toEqual([]);
  });

  test.each([[401], [429], [500], [501]])(
    'if WorkOS answers %i, with one warning in a minute',
    async (status) => {
      const seen = warnings();
      const { login, calls, workos } = await appWith({ status });
      expect(await login()).toEqual([]);
      expect(await login()).toEqual([]);
      expect(calls()).toHaveLength(1);
      expect(seen).toHaveLength(1);
      expect(seen[0]).toMatchObject({ code: 'AUTHKIT_CLAIM_TOKEN' });
      expect(seen[0]!.message).toContain(`${status}`);
      expect(seen[0]!.message).not.toContain(claimToken);
      workos.clock.advance(61_000);
      expect(await login()).toEqual([]);
      expect(calls()).toHaveLength(2);
    },
  );

  test('if WorkOS does not answer', async () => {
    const seen = warnings();
    const { login } = await appWith({ hang: true }, { claimToken, timeout: 500 });
    expect(await login()).toEqual([]);
    expect(seen).toHaveLength(1);
  });

  test.each([
    [{}],
    [{ nonce: 7 }],
    [{ nonce: '' }],
    [{ nonce: 'a b' }],
    [{ nonce: 'x'.repeat(600) }],
    ['null'],
    ['[]'],
  ])('if the answer is %j', async (body) => {
    warnings();
    const { login } = await appWith({ body });
    expect(await login()).toEqual([]);
  });

  test('and no event says that the calls of other requests are paused', async () => {
    warnings();
    const messages = messagesOn('authkit:breaker');
    const { login } = await appWith({ status: 429 });
    expect(await login()).toEqual([]);
    expect(messages).toMatchObject([{ scope: 'anonymous', state: 'open' }]);
  });

  test('and the sign-in itself goes on', async () => {
    warnings();
    const { signIn } = await appWith({ status: 429, headers: { 'retry-after': '30' } });
    expect((await signIn()).status).toBe(200);
  });
});

describe('T57 a claim token is refused at start-up if redirectUri is not on this machine', () => {
  const LOCAL = { ...GOOD, redirectUri: 'http://localhost:3000/callback' };
  const env = { WORKOS_CLAIM_TOKEN: claimToken };

  test.each(['https://app.example.com', 'http://192.168.1.5:3000', 'https://localhost.example.com'])(
    '%s',
    (origin) => {
      const elsewhere = { ...GOOD, redirectUri: `${origin}/callback`, allowInsecureHttp: true };
      const { hostname } = new URL(origin);
      expect(problemsOf({ ...elsewhere, claimToken })).toEqual([
        expect.stringMatching(
          `^claimToken is set, but redirectUri is at ${hostname}: .*Remove the claim token`,
        ),
      ]);
      expect(problemsOf(elsewhere, env)).toEqual([expect.stringMatching('^WORKOS_CLAIM_TOKEN is set')]);
      expect(problemsOf({ ...elsewhere, claimToken }, env).join()).not.toContain(claimToken);
      expect(problemsOf(elsewhere)).toEqual([]);
    },
  );

  test.each(['http://localhost:3000', 'http://127.0.0.1:3000', 'http://[::1]:3000', 'https://app.localhost'])(
    '%s is this machine',
    (origin) => {
      const here = { ...LOCAL, redirectUri: `${origin}/callback` };
      expect(problemsOf({ ...here, claimToken })).toEqual([]);
      expect(problemsOf(here, env)).toEqual([]);
    },
  );

  test('an invalid redirectUri is reported on its own', () => {
    expect(problemsOf({ ...GOOD, redirectUri: 'nothing', claimToken })).toHaveLength(1);
    expect(problemsOf({ ...GOOD, redirectUri: undefined, claimToken })).toHaveLength(1);
  });
});

test('a sign-in whose own redirectUri is elsewhere starts without a nonce', async () => {
  const { login, calls } = await appWith({ body: { nonce: 'nonce_1' } });
  expect(await login('/elsewhere')).toEqual([]);
  expect(calls()).toEqual([]);
  expect(await login('/elsewhere?local')).toEqual(['nonce_1']);
});

test.each([[''], [5], [{}]])('claimToken %j is a mistake', (value) => {
  expect(problemsOf({ ...GOOD, claimToken: value })).toEqual([expect.stringContaining('claimToken must be')]);
});

test('T50 anonymous sign-ins exchange the claim token within a budget, and start without a nonce beyond it', async () => {
  const { login, calls } = await appWith({ body: { nonce: 'nonce_1' } });
  const nonces = await Promise.all(Array.from({ length: 100 }, () => login()));
  expect(calls()).toHaveLength(20);
  expect(nonces.filter((found) => found.length === 0)).toHaveLength(80);
});
