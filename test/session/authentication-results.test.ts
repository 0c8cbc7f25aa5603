import { describe, expect, test, vi } from 'vitest';
import { AuthKitError } from '../../src/errors.js';
import type { Authentication } from '../../src/session/authenticate-session.js';
import { type Session, toSession } from '../../src/session/sealed-session.js';
import {
  claimsOf,
  down,
  LIFETIME,
  refused,
  startProcess,
  tokenOf,
  UnsignedWorkOS,
  withMac,
} from '../support/authenticator.js';
import { messagesOn } from '../support/events.js';
import { mapStore } from '../support/map-store.js';
import { advanceMonotonicClock } from '../support/monotonic-clock.js';

const ENDED = new AuthKitError('code_exchange_failed', 'invalid_grant');

const withToken = (session: Session, accessToken: string) => toSession({ ...session, accessToken }, {});

describe('without waiting', () => {
  test('a request without a session cookie is anonymous', () => {
    const { authenticate } = startProcess(new UnsignedWorkOS());
    expect(authenticate([], () => true)).toEqual({ kind: 'anonymous', reason: 'none' });
  });

  test('a session with the MAC of its token is authenticated, and its third request needs no cryptography', async () => {
    const workos = new UnsignedWorkOS();
    const verifyByMac = vi.spyOn(workos, 'verifyByMac');
    const { authenticate, cookieOf } = startProcess(workos);
    const session = withMac(workos.signIn());
    const value = await cookieOf(session);
    for (let request = 0; request < 3; request += 1) {
      const result = authenticate([value], () => true) as Authentication;
      expect(result).toEqual({ kind: 'authenticated', session, claims: claimsOf(session.accessToken) });
    }
    advanceMonotonicClock(500);
    expect(authenticate([value], () => true)).toMatchObject({ session });
    expect(verifyByMac).toHaveBeenCalledTimes(2);
    expect(workos.verified).toEqual([]);
  });

  test('a cached session is not authenticated any more once it has ended', async () => {
    const workos = new UnsignedWorkOS();
    const { ask, cookieOf, revocation } = startProcess(workos);
    const value = await cookieOf(withMac(workos.signIn()));
    for (let request = 0; request < 3; request += 1) expect((await ask(value)).kind).toBe('authenticated');
    await revocation.endSession('session_user_1');
    expect(await ask(value)).toEqual({ kind: 'anonymous', reason: 'ended', why: 'revoked' });
    expect(workos.refreshes).toEqual([]);
  });

  test('a session whose token has expired is refreshed, although its MAC is valid', async () => {
    const workos = new UnsignedWorkOS();
    const { ask, cookieOf } = startProcess(workos);
    const value = await cookieOf(withMac(workos.signIn()));
    workos.now += LIFETIME;
    expect(await ask(value)).toMatchObject({ kind: 'authenticated', session: { refreshToken: 'rt_2' } });
  });

  test('a token for a different user is not accepted, although its MAC is valid', async () => {
    const workos = new UnsignedWorkOS();
    const { ask, cookieOf } = startProcess(workos);
    const { accessToken } = workos.signIn('user_2');
    const value = await cookieOf(withMac(withToken(workos.signIn(), accessToken)));
    const problems = messagesOn('authkit:session');
    expect(await ask(value)).toEqual({ kind: 'anonymous', reason: 'invalid', why: 'subject' });
    expect(problems).toEqual([
      {
        clientId: 'client_1',
        reason: 'invalid',
        why: 'subject',
        detail: undefined,
        userId: 'user_1',
        sessionId: 'session_user_2',
      },
    ]);
  });
});

test('a cookie value that is not a session is invalid', async () => {
  const problems = messagesOn('authkit:session');
  expect(await startProcess(new UnsignedWorkOS()).ask('junk')).toEqual({
    kind: 'anonymous',
    reason: 'invalid',
    why: 'format',
  });
  expect(problems).toEqual([
    {
      clientId: 'client_1',
      reason: 'invalid',
      why: 'format',
      detail: undefined,
      userId: undefined,
      sessionId: undefined,
    },
  ]);
});

describe('a session without a MAC', () => {
  test('is verified until it is cached', async () => {
    const workos = new UnsignedWorkOS();
    const { ask, cookieOf } = startProcess(workos);
    const session = workos.signIn();
    const value = await cookieOf(session);
    for (let request = 0; request < 4; request += 1)
      expect(await ask(value)).toMatchObject({ kind: 'authenticated', session: { refreshToken: 'rt_1' } });
    expect(workos.verified).toEqual([session.accessToken, session.accessToken]);
  });

  test('is not verified again because the store has to be asked whether it has ended', async () => {
    const workos = new UnsignedWorkOS();
    const store = mapStore();
    const { ask, cookieOf } = startProcess(workos, { store, mode: 'cookie' });
    const value = await cookieOf(workos.signIn());
    for (let request = 0; request < 4; request += 1) {
      expect((await ask(value)).kind).toBe('authenticated');
      advanceMonotonicClock(500);
    }
    expect(workos.verified).toHaveLength(2);
    await startProcess(workos, { store }).revocation.endSession('session_user_1');
    expect(await ask(value)).toEqual({ kind: 'anonymous', reason: 'ended', why: 'revoked' });
  });

  test('is not accepted if its signature is invalid', async () => {
    const workos = new UnsignedWorkOS();
    const { ask, cookieOf } = startProcess(workos);
    const session = workos.signIn();
    const value = await cookieOf(withToken(session, tokenOf(claimsOf(session.accessToken), 'other')));
    const problems = messagesOn('authkit:session');
    expect(await ask(value)).toEqual({
      kind: 'anonymous',
      reason: 'invalid',
      why: 'token',
      detail: 'signature',
    });
    expect(problems).toMatchObject([{ reason: 'invalid', why: 'token', detail: 'signature' }]);
  });

  test('is unavailable while the signing keys are', async () => {
    const workos = new UnsignedWorkOS();
    const { ask, cookieOf } = startProcess(workos);
    const value = await cookieOf(workos.signIn());
    workos.keyOf = () => 'unavailable';
    const problems = messagesOn('authkit:session');
    expect(await ask(value)).toMatchObject({
      kind: 'unavailable',
      error: { code: 'upstream_unavailable', message: expect.stringMatching(/signing keys/) as string },
      why: 'keys',
    });
    expect(problems).toMatchObject([{ reason: 'unavailable', why: 'keys', sessionId: 'session_user_1' }]);
    expect(workos.refreshes).toEqual([]);
  });

  test('is refreshed if only the key of its token is unknown', async () => {
    const workos = new UnsignedWorkOS();
    const { ask, cookieOf } = startProcess(workos);
    const session = workos.signIn();
    // WorkOS has replaced its keys, and the new ones are fetched only for a token from WorkOS itself.
    workos.keyOf = (_claims, isTrusted) => (isTrusted ? 'found' : 'unknown');
    expect(await ask(await cookieOf(session))).toMatchObject({
      kind: 'authenticated',
      session: { refreshToken: 'rt_2' },
    });
  });
});

describe('a response that can no longer set a cookie', () => {
  test('does not refresh a session whose token has expired', async () => {
    const workos = new UnsignedWorkOS();
    const { askWithoutCookies, cookieOf } = startProcess(workos);
    const value = await cookieOf(workos.signIn());
    workos.now += LIFETIME;
    expect(await askWithoutCookies(value)).toEqual({
      kind: 'anonymous',
      reason: 'expired',
      why: 'token_expired',
    });
    expect(workos.refreshes).toEqual([]);
  });

  test('does not refresh a session whose token will soon expire', async () => {
    const workos = new UnsignedWorkOS();
    const { askWithoutCookies, cookieOf } = startProcess(workos);
    const session = workos.signIn();
    const value = await cookieOf(session);
    workos.now += LIFETIME - 1000;
    expect(await askWithoutCookies(value)).toMatchObject({
      kind: 'authenticated',
      session: { refreshToken: 'rt_1' },
    });
    expect(workos.refreshes).toEqual([]);
  });

  test('does not accept the claims of a user who has changed', async () => {
    const workos = new UnsignedWorkOS();
    const { askWithoutCookies, cookieOf, revocation } = startProcess(workos);
    const value = await cookieOf(workos.signIn());
    workos.now += 2000;
    await revocation.changeUser('user_1', workos.now);
    expect(await askWithoutCookies(value)).toEqual({
      kind: 'anonymous',
      reason: 'expired',
      why: 'token_expired',
    });
    expect(workos.refreshes).toEqual([]);
  });

  test('does not move a session to the store', async () => {
    const workos = new UnsignedWorkOS();
    const map = new Map<string, string>();
    const store = mapStore(map);
    const value = await startProcess(workos, { store, mode: 'cookie' }).cookieOf(workos.signIn());
    const { askWithoutCookies } = startProcess(workos, { store });
    const result = await askWithoutCookies(value);
    expect(result).toMatchObject({ kind: 'authenticated' });
    expect(result).not.toHaveProperty('sealed');
    expect(map.size).toBe(0);
  });
});

describe('several cookie values', () => {
  /** Makes a process and, for each result, a cookie value that has that result. */
  async function ranked() {
    const workos = new UnsignedWorkOS();
    const { authenticate, cookieOf, revocation } = startProcess(workos);
    const values = {
      format: 'junk',
      token_expired: await cookieOf(workos.signIn('expired')),
      revoked: await cookieOf(workos.signIn('ended')),
      refused: await cookieOf(workos.signIn('refused')),
      workos: await cookieOf(workos.signIn('unavailable')),
      keys: await cookieOf(workos.signIn('refreshed')),
    };
    await revocation.endSession('session_ended');
    workos.now += LIFETIME;
    workos.respond = (tokens) => {
      const [refreshToken] = workos.refreshes.at(-1)!;
      if (refreshToken === 'rt_3') return refused(ENDED);
      return refreshToken === 'rt_4' ? down : tokens();
    };
    // The new tokens cannot be verified.
    workos.keyOf = ({ sub }, isTrusted) => (isTrusted && sub === 'refreshed' ? 'unavailable' : 'found');
    return async (whys: readonly (keyof typeof values)[], mayRefresh: boolean) => {
      const result = await authenticate(
        whys.map((why) => values[why]),
        () => mayRefresh,
      );
      return result.kind === 'authenticated' ? undefined : result;
    };
  }

  const PAIRS = [
    ['format', 'revoked', true],
    ['revoked', 'refused', true],
    ['refused', 'workos', true],
    ['workos', 'keys', true],
    ['refused', 'keys', true],
    ['format', 'token_expired', false],
    ['token_expired', 'revoked', false],
  ] as const;

  test.each(PAIRS)('a result %s is less important than %s, whichever comes first', async (low, high, may) => {
    const problems = messagesOn('authkit:session');
    for (const whys of [
      [low, high],
      [high, low],
    ]) {
      const ask = await ranked();
      expect(await ask(whys, may)).toMatchObject({ why: high });
      expect(problems.splice(0).map(({ why }) => why)).toEqual([high]);
    }
  });

  test('of two sessions that are signed in, the first one is used', async () => {
    const workos = new UnsignedWorkOS();
    const { ask, cookieOf } = startProcess(workos);
    const expired = await cookieOf(workos.signIn());
    workos.now += LIFETIME;
    const values = await Promise.all(['user_2', 'user_3'].map((id) => cookieOf(workos.signIn(id))));
    for (const before of [[], ['junk']]) {
      const result = await ask(...before, ...values, expired);
      expect(result).toMatchObject({ session: { user: { id: 'user_2' } } });
    }
    // The others are not even refreshed.
    expect(workos.refreshes).toEqual([]);
  });

  test('of two sessions that WorkOS refuses to refresh, the first one is reported', async () => {
    const workos = new UnsignedWorkOS();
    const { ask, cookieOf } = startProcess(workos);
    const users = ['user_1', 'user_2'];
    const values = await Promise.all(users.map((id) => cookieOf(workos.signIn(id, `org_of_${id}`))));
    workos.now += LIFETIME;
    workos.respond = () => refused(ENDED);
    const problems = messagesOn('authkit:session');
    expect(await ask(...values)).toMatchObject({ kind: 'ended', organizationId: 'org_of_user_1' });
    expect(problems).toMatchObject([{ why: 'refused', userId: 'user_1' }]);
  });

  test('are read from the store at the same time, and each of them only as often as a single one', async () => {
    const workos = new UnsignedWorkOS();
    const map = new Map<string, string>();
    const store = mapStore(map);
    const { cookieOf } = startProcess(workos, { store });
    const values = await Promise.all(['user_1', 'user_2', 'user_3'].map((id) => cookieOf(workos.signIn(id))));
    map.clear();
    const reads: string[] = [];
    const get = async (key: string) => {
      if (key.startsWith('session:')) reads.push(key);
      return undefined;
    };
    const { ask } = startProcess(workos, { store: { ...store, get } });
    const problems = messagesOn('authkit:session');
    expect(await ask(...values)).toEqual({ kind: 'anonymous', reason: 'ended', why: 'not_in_store' });
    // The store may be a replica that does not have a new session yet, so it is read twice.
    const [first, second, third] = [...new Set(reads)];
    expect(reads).toEqual([first, first, second, third, second, third]);
    expect(problems).toMatchObject([{ reason: 'ended', why: 'not_in_store', userId: undefined }]);
  });
});

describe('sessions in the store', () => {
  test('are unavailable while the store is', async () => {
    const workos = new UnsignedWorkOS();
    const store = mapStore();
    const value = await startProcess(workos, { store }).cookieOf(workos.signIn());
    const get = () => Promise.reject(new Error('down'));
    const { ask } = startProcess(workos, { store: { ...store, get } });
    expect(await ask(value)).toMatchObject({
      kind: 'unavailable',
      error: { code: 'upstream_unavailable', message: expect.stringMatching(/session store/) as string },
      why: 'store',
    });
  });

  test('are read from the store for each request, except that a cached session is used for half a second', async () => {
    const workos = new UnsignedWorkOS();
    const store = mapStore();
    const reads: string[] = [];
    const get = async (key: string) => {
      if (key.startsWith('session:')) reads.push(key);
      return store.get(key);
    };
    const { ask, cookieOf } = startProcess(workos, { store: { ...store, get } });
    const value = await cookieOf(workos.signIn());
    for (const expected of [1, 2, 2, 2]) {
      expect(await ask(value)).toMatchObject({ kind: 'authenticated', session: { refreshToken: 'rt_1' } });
      expect(reads).toHaveLength(expected);
    }
    advanceMonotonicClock(500);
    expect((await ask(value)).kind).toBe('authenticated');
    expect(reads).toHaveLength(3);
  });

  test('that another process has ended are not authenticated from the cache', async () => {
    const workos = new UnsignedWorkOS();
    const store = mapStore();
    const { ask, cookieOf } = startProcess(workos, { store });
    const value = await cookieOf(workos.signIn());
    for (let request = 0; request < 3; request += 1) expect((await ask(value)).kind).toBe('authenticated');
    await startProcess(workos, { store }).revocation.endSession('session_user_1');
    advanceMonotonicClock(500);
    expect(await ask(value)).toEqual({ kind: 'anonymous', reason: 'ended', why: 'revoked' });
  });

  test('a session moves from its cookie to the store, and back, as soon as it is used', async () => {
    const workos = new UnsignedWorkOS();
    const store = mapStore();
    const inCookie = startProcess(workos, { store, mode: 'cookie' });
    const inStore = startProcess(workos, { store });
    const value = await inCookie.cookieOf(withMac(workos.signIn()));
    const moved = await inStore.ask(value);
    expect(moved).toMatchObject({ kind: 'authenticated', sealed: expect.stringMatching(/^s1\./) as string });
    const { sealed } = moved as { sealed: string };
    expect(await inStore.ask(sealed)).not.toHaveProperty('sealed');
    const back = await inCookie.ask(sealed);
    expect(back).toMatchObject({ kind: 'authenticated', sealed: expect.stringMatching(/^Fe26/) as string });
    expect(await inCookie.ask((back as { sealed: string }).sealed)).not.toHaveProperty('sealed');
  });

  test('a session stays in its cookie while it cannot be moved to the store', async () => {
    const workos = new UnsignedWorkOS();
    const store = mapStore();
    const value = await startProcess(workos, { store, mode: 'cookie' }).cookieOf(workos.signIn());
    const add = () => Promise.reject(new Error('down'));
    const { ask } = startProcess(workos, { store: { ...store, add } });
    const result = await ask(value);
    expect(result).toMatchObject({ kind: 'authenticated' });
    expect(result).not.toHaveProperty('sealed');
  });

  test('an outdated version is replaced by the newer one that this process knows', async () => {
    const workos = new UnsignedWorkOS();
    const map = new Map<string, string>();
    const store = mapStore(map);
    const { ask, cookieOf } = startProcess(workos, { store });
    const value = await cookieOf(workos.signIn());
    const before = new Map(map);
    workos.now += LIFETIME;
    const refreshed = await ask(value);
    const { sealed } = refreshed as { sealed: string };
    const after = new Map(map);
    const problems = messagesOn('authkit:session');
    expect(await startProcess(workos, { store }).ask(sealed)).toMatchObject({
      session: { refreshToken: 'rt_2' },
    });
    expect(problems).toEqual([]);
    // The store loses the latest write, as in a failover.
    for (const [key, text] of before) map.set(key, text);
    const outdated = {
      clientId: 'client_1',
      reason: 'outdated',
      why: 'store_older',
      detail: undefined,
      userId: 'user_1',
      sessionId: 'session_user_1',
    };
    // A process that does not know the newer version uses the refresh token of the older one.
    const other = await startProcess(workos, { store: mapStore(new Map(map)) }).ask(sealed);
    expect(other).toMatchObject({ kind: 'authenticated', session: { refreshToken: 'rt_2' } });
    expect(problems.splice(0)).toEqual([outdated]);
    expect(workos.refreshes).toHaveLength(2);
    advanceMonotonicClock(500);
    expect(await ask(sealed)).toMatchObject({ kind: 'authenticated', session: { refreshToken: 'rt_2' } });
    expect(problems).toEqual([outdated]);
    expect(workos.refreshes).toHaveLength(2);
    expect(map).toEqual(after);
  });
});
