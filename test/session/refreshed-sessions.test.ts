import { describe, expect, onTestFinished, test, vi } from 'vitest';
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

/** When a token is due for a refresh, in milliseconds after it was issued. */
const DUE = LIFETIME - 60_000;

const ENDED = new AuthKitError('code_exchange_failed', 'invalid_grant');

/** The cookie value that the response to a request sets. */
function sealedIn(result: Authentication): string {
  if (!('sealed' in result)) throw new Error('the response sets no cookie');
  return result.sealed;
}

const organizationIn = (result: Authentication) =>
  result.kind === 'authenticated' ? result.claims.org_id : undefined;

/** A promise that a test resolves. */
function latch() {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { open, opened };
}

/** Resolves after all promises that do not depend on anything outside this process. */
const afterPromises = () => new Promise((resolve) => setImmediate(resolve));

describe('a session whose token will soon expire', () => {
  test.each([
    ['is verified', (session: Session) => session],
    ['has a valid MAC', withMac],
  ])('and %s is refreshed one minute before the token expires, but not earlier', async (_, prepare) => {
    const workos = new UnsignedWorkOS();
    const { ask, cookieOf } = startProcess(workos);
    const value = await cookieOf(prepare(workos.signIn()));
    workos.now += DUE - 1;
    const early = await ask(value);
    expect(early).toMatchObject({ kind: 'authenticated', session: { refreshToken: 'rt_1' } });
    expect(early).not.toHaveProperty('sealed');
    expect(workos.refreshes).toEqual([]);
    workos.now += 1;
    const due = await ask(value);
    expect(due).toMatchObject({ kind: 'authenticated', session: { refreshToken: 'rt_2' } });
    for (const current of [sealedIn(due), value])
      expect(await ask(current)).toMatchObject({ session: { refreshToken: 'rt_2' } });
    expect(workos.refreshes).toEqual([['rt_1', undefined]]);
  });

  test('continues with its token for ten seconds if WorkOS is unavailable', async () => {
    const workos = new UnsignedWorkOS();
    const { ask, cookieOf } = startProcess(workos);
    const value = await cookieOf(workos.signIn());
    workos.now += DUE;
    workos.respond = () => down;
    const problems = messagesOn('authkit:session');
    for (let request = 0; request < 3; request += 1) {
      const result = await ask(value);
      expect(result).toMatchObject({ kind: 'authenticated', session: { refreshToken: 'rt_1' } });
      expect(result).not.toHaveProperty('sealed');
    }
    expect(workos.refreshes).toHaveLength(1);
    workos.now += 10_000;
    await ask(value);
    expect(workos.refreshes).toHaveLength(2);
    expect(problems).toEqual([]);
  });

  test('ends if WorkOS refuses to refresh it', async () => {
    const workos = new UnsignedWorkOS();
    const { ask, cookieOf } = startProcess(workos);
    const value = await cookieOf(workos.signIn('user_1', 'org_1'));
    workos.now += DUE;
    workos.respond = () => refused(ENDED);
    const problems = messagesOn('authkit:session');
    expect(await ask(value)).toMatchObject({
      kind: 'ended',
      error: { code: 'unauthenticated', cause: ENDED },
      organizationId: 'org_1',
      isSpent: false,
      why: 'refused',
    });
    expect(problems).toMatchObject([{ reason: 'ended', why: 'refused', userId: 'user_1' }]);
  });

  test('continues with its token if the new one cannot be verified, and the response sets the new cookie', async () => {
    const workos = new UnsignedWorkOS();
    const { ask, cookieOf } = startProcess(workos);
    const value = await cookieOf(workos.signIn());
    workos.now += DUE;
    workos.keyOf = (_claims, isTrusted) => (isTrusted ? 'unavailable' : 'found');
    const result = await ask(value);
    expect(result).toMatchObject({
      kind: 'authenticated',
      session: { refreshToken: 'rt_1' },
      sealedSession: { refreshToken: 'rt_2' },
    });
    workos.keyOf = () => 'found';
    expect(await ask(sealedIn(result))).toMatchObject({ session: { refreshToken: 'rt_2' } });
  });

  test('waits for new tokens for half of the time that a request waits for its session', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const workos = new UnsignedWorkOS();
    const { ask, cookieOf, refresh } = startProcess(workos, { softTimeout: 1000 });
    const session = workos.signIn();
    const value = await cookieOf(session);
    workos.now += DUE;
    const { open, opened } = latch();
    const { open: call, opened: called } = latch();
    workos.respond = async (tokens) => {
      call();
      await opened;
      return tokens();
    };
    let result: Authentication | undefined;
    const request = () => void ask(value).then((found) => (result = found));
    request();
    await called;
    await vi.advanceTimersByTimeAsync(499);
    expect(result).toBeUndefined();
    await vi.advanceTimersByTimeAsync(1);
    await afterPromises();
    expect(result).toMatchObject({ kind: 'authenticated', session: { refreshToken: 'rt_1' } });
    expect(result).not.toHaveProperty('sealed');
    // Other requests do not wait, and the next request after the response from WorkOS gets the new tokens.
    result = undefined;
    request();
    await afterPromises();
    expect(result).toMatchObject({ session: { refreshToken: 'rt_1' } });
    open();
    await refresh(session, undefined);
    expect(await ask(value)).toMatchObject({ session: { refreshToken: 'rt_2' } });
    expect(workos.refreshes).toHaveLength(1);
  });
});

describe('a session whose token has expired', () => {
  test('is unavailable while WorkOS is', async () => {
    const workos = new UnsignedWorkOS();
    const { ask, cookieOf } = startProcess(workos);
    const value = await cookieOf(workos.signIn());
    workos.now += LIFETIME;
    workos.respond = () => down;
    const problems = messagesOn('authkit:session');
    const result = await ask(value);
    expect(result).toEqual({ kind: 'unavailable', error: (down as { error: Error }).error, why: 'workos' });
    expect(problems).toMatchObject([{ reason: 'unavailable', why: 'workos', userId: 'user_1' }]);
  });

  test('stays in its organization', async () => {
    const workos = new UnsignedWorkOS();
    const { ask, cookieOf } = startProcess(workos);
    const value = await cookieOf(workos.signIn('user_1', 'org_1'));
    workos.now += LIFETIME;
    expect(organizationIn(await ask(value))).toBe('org_1');
    // The organization of a token without `org_id` is in the session, if it is known.
    const { accessToken, ...session } = workos.signIn('user_2', 'org_2');
    const claims = { ...claimsOf(accessToken), org_id: undefined };
    const other = await cookieOf(toSession({ ...session, accessToken: tokenOf(claims) }, {}));
    workos.now += LIFETIME;
    expect(organizationIn(await ask(other))).toBe('org_2');
    expect(workos.refreshes.map(([, organizationId]) => organizationId)).toEqual(['org_1', 'org_2']);
  });

  test.each([
    ['the signing keys are unavailable', 0, 'keys', /signing keys/],
    ['the clock of this server is ahead', LIFETIME, 'clock', /set the clock/],
  ])('keeps the new tokens although %s', async (_, skew, why, message) => {
    const warning = vi.spyOn(process, 'emitWarning').mockReturnValue();
    onTestFinished(() => {
      warning.mockRestore();
    });
    const workos = new UnsignedWorkOS();
    const { ask, cookieOf } = startProcess(workos);
    const value = await cookieOf(workos.signIn());
    workos.now += LIFETIME;
    workos.skew = skew;
    if (skew === 0) workos.keyOf = (_claims, isTrusted) => (isTrusted ? 'unavailable' : 'found');
    const problems = messagesOn('authkit:session');
    const result = await ask(value);
    expect(result).toMatchObject({
      kind: 'unavailable',
      error: { code: 'upstream_unavailable', message: expect.stringMatching(message) as string },
      why,
      sealedSession: { refreshToken: 'rt_2' },
    });
    expect(problems.map((problem) => problem.why)).toEqual([why]);
    expect(warning.mock.calls.map(([, options]) => options)).toEqual(
      skew === 0 ? [] : [{ code: 'AUTHKIT_CLOCK' }],
    );
    workos.skew = 0;
    workos.keyOf = () => 'found';
    expect(await ask(sealedIn(result))).toMatchObject({ session: { refreshToken: 'rt_2' } });
  });

  test('does not continue if it ends during the refresh', async () => {
    const workos = new UnsignedWorkOS();
    const { ask, cookieOf, revocation } = startProcess(workos);
    const value = await cookieOf(workos.signIn());
    workos.now += LIFETIME;
    workos.respond = async (tokens) => {
      await revocation.endSession('session_user_1');
      return tokens();
    };
    expect(await ask(value)).toEqual({ kind: 'anonymous', reason: 'ended', why: 'revoked' });
  });

  test('does not continue if another process ends it during the refresh', async () => {
    const workos = new UnsignedWorkOS();
    const store = mapStore();
    const { ask, cookieOf } = startProcess(workos, { store, mode: 'cookie' });
    const value = await cookieOf(workos.signIn());
    workos.now += LIFETIME;
    workos.respond = async (tokens) => {
      await startProcess(workos, { store }).revocation.endSession('session_user_1');
      return tokens();
    };
    expect(await ask(value)).toEqual({ kind: 'anonymous', reason: 'ended', why: 'revoked' });
  });

  test('does not continue if WorkOS refuses to refresh it because it has just ended', async () => {
    const workos = new UnsignedWorkOS();
    const { ask, cookieOf, revocation } = startProcess(workos);
    const value = await cookieOf(workos.signIn());
    workos.now += LIFETIME;
    workos.respond = async () => {
      await revocation.endSession('session_user_1');
      return refused(ENDED);
    };
    expect(await ask(value)).toEqual({ kind: 'anonymous', reason: 'ended', why: 'revoked' });
  });

  test('does not continue if it is deleted from the store during the refresh', async () => {
    const workos = new UnsignedWorkOS();
    const map = new Map<string, string>();
    const { ask, cookieOf } = startProcess(workos, { store: mapStore(map) });
    const value = await cookieOf(workos.signIn());
    workos.now += LIFETIME;
    workos.respond = (tokens) => {
      map.clear();
      return tokens();
    };
    expect(await ask(value)).toEqual({ kind: 'anonymous', reason: 'ended', why: 'not_in_store' });
  });
});

describe('a cookie from before a refresh', () => {
  test('gets the newest version, which is refreshed after its token has expired', async () => {
    const workos = new UnsignedWorkOS();
    const { ask, cookieOf } = startProcess(workos);
    const value = await cookieOf(workos.signIn('user_1', 'org_1'));
    workos.now += LIFETIME;
    const refreshed = await ask(value);
    const again = await ask(value);
    expect(again).toEqual(refreshed);
    expect(workos.refreshes).toHaveLength(1);
    workos.now += LIFETIME;
    expect(await ask(value)).toMatchObject({ session: { refreshToken: 'rt_3' } });
    expect(workos.refreshes).toEqual([
      ['rt_1', 'org_1'],
      ['rt_2', 'org_1'],
    ]);
  });

  test('does not bring back a session that has ended under a new ID', async () => {
    const workos = new UnsignedWorkOS();
    const { ask, cookieOf, revocation } = startProcess(workos);
    const value = await cookieOf(workos.signIn());
    workos.now += LIFETIME;
    workos.respond = (tokens) => {
      const answer = tokens();
      if (answer.kind !== 'ok') return answer;
      const accessToken = tokenOf({ ...claimsOf(answer.value.accessToken), sid: 'session_new' });
      return { kind: 'ok', value: { ...answer.value, accessToken } };
    };
    expect((await ask(value)).kind).toBe('authenticated');
    await revocation.endSession('session_new');
    expect(await ask(value)).toEqual({ kind: 'anonymous', reason: 'ended', why: 'revoked' });
  });

  test('may no longer be set, and neither may that of a session that has ended', async () => {
    const workos = new UnsignedWorkOS();
    const { isLive, refresh, revocation } = startProcess(workos);
    const session = workos.signIn();
    expect(isLive(session)).toBe(true);
    const refreshed = await refresh(session, undefined);
    if (refreshed.kind !== 'authenticated') throw new Error('the session was not refreshed');
    expect(isLive(session)).toBe(false);
    expect(isLive(refreshed.session)).toBe(true);
    await revocation.endSession('session_user_1');
    expect(isLive(refreshed.session)).toBe(false);
  });
});

describe('after a user has changed', () => {
  /** A session that other processes have refreshed `times` times, and a process that does not know about that. */
  async function refreshedElsewhere(times: number, store = mapStore()) {
    const workos = new UnsignedWorkOS();
    const other = startProcess(workos, { store, mode: 'cookie' });
    let session = workos.signIn();
    const first = await other.cookieOf(session);
    for (let refresh = 0; refresh < times; refresh += 1) {
      workos.now += 1000;
      const refreshed = await other.refresh(session, undefined);
      if (refreshed.kind !== 'authenticated') throw new Error('the session was not refreshed');
      session = refreshed.session;
    }
    workos.now += 2000;
    const { revocation, ...process } = startProcess(workos, { store, mode: 'cookie' });
    await revocation.changeUser('user_1', workos.now);
    workos.refreshes.length = 0;
    return { workos, first, ...process };
  }

  test.each([1, 4])('tokens of %i earlier refreshes are not accepted', async (times) => {
    const { workos, first, ask } = await refreshedElsewhere(times);
    const result = await ask(first);
    expect(result).toMatchObject({
      kind: 'authenticated',
      session: { refreshToken: `rt_${times + 2}` },
      claims: { iat: workos.now / 1000 },
    });
    expect(await ask(sealedIn(result))).not.toHaveProperty('sealed');
    expect(workos.refreshes).toHaveLength(times + 1);
  });

  test('a request gives up after five refreshes, and the browser receives the newest tokens', async () => {
    const { workos, first, ask } = await refreshedElsewhere(5);
    const problems = messagesOn('authkit:session');
    const result = await ask(first);
    expect(result).toMatchObject({
      kind: 'unavailable',
      error: {
        code: 'upstream_unavailable',
        message: expect.stringMatching(/before the user changed/) as string,
      },
      why: 'user_changed',
      sealedSession: { refreshToken: 'rt_6' },
    });
    expect(problems).toMatchObject([{ reason: 'unavailable', why: 'user_changed' }]);
    expect(workos.refreshes).toHaveLength(5);
    expect(await ask(sealedIn(result))).toMatchObject({
      kind: 'authenticated',
      session: { refreshToken: 'rt_7' },
    });
  });

  test('if a further refresh fails, the browser receives the tokens of the one before', async () => {
    const { workos, first, ask } = await refreshedElsewhere(1);
    workos.respond = (tokens) => (workos.refreshes.length > 1 ? down : tokens());
    const result = await ask(first);
    expect(result).toMatchObject({
      kind: 'unavailable',
      why: 'workos',
      sealedSession: { refreshToken: 'rt_2' },
    });
    workos.respond = (tokens) => tokens();
    expect(await ask(sealedIn(result))).toMatchObject({
      kind: 'authenticated',
      session: { refreshToken: 'rt_3' },
    });
  });

  test('if WorkOS refuses a further refresh, the refresh token of the session has been used', async () => {
    const { workos, first, ask } = await refreshedElsewhere(1);
    workos.respond = (tokens) => (workos.refreshes.length > 1 ? refused(ENDED) : tokens());
    const result = await ask(first);
    expect(result).toMatchObject({ kind: 'ended', isSpent: true });
    expect(result).not.toHaveProperty('sealed');
  });

  test('if the tokens of a further refresh cannot be verified, the browser receives these', async () => {
    const { workos, first, ask } = await refreshedElsewhere(1);
    workos.keyOf = ({ iat }, isTrusted) =>
      isTrusted && iat! * 1000 === workos.now ? 'unavailable' : 'found';
    expect(await ask(first)).toMatchObject({
      kind: 'unavailable',
      why: 'keys',
      sealedSession: { refreshToken: 'rt_3' },
    });
  });

  test('tokens that cannot be verified are not refreshed a second time', async () => {
    const { workos, first, ask } = await refreshedElsewhere(1);
    workos.keyOf = (_claims, isTrusted) => (isTrusted ? 'unavailable' : 'found');
    expect(await ask(first)).toMatchObject({ why: 'keys', sealedSession: { refreshToken: 'rt_2' } });
    expect(workos.refreshes).toHaveLength(1);
  });

  test('a cookie from before a refresh does not get the claims that the refresh brought', async () => {
    const workos = new UnsignedWorkOS();
    const { ask, cookieOf, revocation } = startProcess(workos);
    const value = await cookieOf(workos.signIn());
    workos.now += DUE;
    expect(await ask(value)).toMatchObject({ session: { refreshToken: 'rt_2' } });
    workos.now += 2000;
    await revocation.changeUser('user_1', workos.now);
    expect(await ask(value)).toMatchObject({
      kind: 'authenticated',
      session: { refreshToken: 'rt_3' },
      claims: { iat: workos.now / 1000 },
    });
    expect(workos.refreshes).toEqual([
      ['rt_1', undefined],
      ['rt_2', undefined],
    ]);
  });
});

test('a cookie from before a refresh does not get claims that another process knows to be old', async () => {
  const workos = new UnsignedWorkOS();
  const store = mapStore();
  const { ask, cookieOf } = startProcess(workos, { store, mode: 'cookie' });
  const value = await cookieOf(workos.signIn());
  workos.now += LIFETIME;
  expect(await ask(value)).toMatchObject({ session: { refreshToken: 'rt_2' } });
  workos.now += 2000;
  await startProcess(workos, { store }).revocation.changeUser('user_1', workos.now);
  expect(await ask(value)).toMatchObject({ kind: 'authenticated', session: { refreshToken: 'rt_3' } });
});

test('a session that another process has ended since its refresh is not refreshed again', async () => {
  const workos = new UnsignedWorkOS();
  const store = mapStore();
  const { ask, cookieOf } = startProcess(workos, { store, mode: 'cookie' });
  const value = await cookieOf(workos.signIn());
  workos.now += LIFETIME;
  expect(await ask(value)).toMatchObject({ session: { refreshToken: 'rt_2' } });
  workos.now += LIFETIME;
  await startProcess(workos, { store }).revocation.endSession('session_user_1');
  expect(await ask(value)).toEqual({ kind: 'anonymous', reason: 'ended', why: 'revoked' });
  expect(workos.refreshes).toEqual([['rt_1', undefined]]);
});

describe.each([
  ['in the cookie', () => ({})],
  ['in the store', () => ({ store: mapStore() })],
])('with sessions %s', (_, options) => {
  /** A process, a session in `org_1`, and its cookie. WorkOS responds to the first refresh only after `open`. */
  async function signedIn() {
    const workos = new UnsignedWorkOS();
    const process = startProcess(workos, options());
    const value = await process.cookieOf(workos.signIn('user_1', 'org_1'));
    /** The session as a request finds it. */
    const find = async () => {
      const result = await process.ask(value);
      if (result.kind !== 'authenticated') throw new Error('the session was not accepted');
      return result.session;
    };
    const { open, opened } = latch();
    workos.respond = async (tokens) => {
      if (workos.refreshes.length === 1) await opened;
      return tokens();
    };
    return { workos, value, find, open, ...process };
  }

  test('a refresh for an organization switches to it, and one without keeps the organization', async () => {
    const { ask, find, open, refresh } = await signedIn();
    const session = await find();
    open();
    const switched = await refresh(session, 'org_2');
    expect(organizationIn(switched)).toBe('org_2');
    expect(organizationIn(await ask(sealedIn(switched)))).toBe('org_2');
    const kept = await refresh((switched as { session: Session }).session, undefined);
    expect(organizationIn(kept)).toBe('org_2');
  });

  test('a request during a switch gets the session in the new organization', async () => {
    const { workos, value, ask, find, open, refresh } = await signedIn();
    const session = await find();
    workos.now += LIFETIME;
    const switching = refresh(session, 'org_2');
    const request = ask(value);
    open();
    const results = await Promise.all([switching, request]);
    expect(results.map(organizationIn)).toEqual(['org_2', 'org_2']);
    expect(workos.refreshes).toEqual([['rt_1', 'org_2']]);
    expect(sealedIn(results[0])).toBe(sealedIn(results[1]));
  });

  test('a refresh during a switch keeps the organization of its own session', async () => {
    const { workos, ask, find, open, refresh } = await signedIn();
    const session = await find();
    const switching = refresh(session, 'org_2');
    const keeping = refresh(session, undefined);
    open();
    const results = await Promise.all([switching, keeping]);
    expect(results.map(organizationIn)).toEqual(['org_2', 'org_1']);
    expect(workos.refreshes).toEqual([
      ['rt_1', 'org_2'],
      ['rt_2', 'org_1'],
    ]);
    // The last refresh has used up the tokens for the other organization.
    expect(organizationIn(await ask(sealedIn(results[1])))).toBe('org_1');
  });
});

test('a session has one entry in the store, even if the store is unavailable after one of two refreshes', async () => {
  const workos = new UnsignedWorkOS();
  const map = new Map<string, string>();
  const store = mapStore(map);
  let isDown = false;
  const replace: typeof store.replace = async (...parameters) => {
    if (!isDown) return store.replace(...parameters);
    isDown = false;
    throw new Error('down');
  };
  const { ask, cookieOf, refresh } = startProcess(workos, { store: { ...store, replace } });
  const value = await cookieOf(workos.signIn('user_1', 'org_1'));
  const found = await ask(value);
  if (found.kind !== 'authenticated') throw new Error('the session was not accepted');
  isDown = true;
  const results = await Promise.all([refresh(found.session, 'org_2'), refresh(found.session, undefined)]);
  expect(results.map(organizationIn)).toEqual(['org_2', 'org_1']);
  expect(map.size).toBe(1);
  expect(sealedIn(results[1]).split('.')[1]).toBe(value.split('.')[1]);
});
