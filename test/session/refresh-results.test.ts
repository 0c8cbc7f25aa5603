import { expect, onTestFinished, test, vi } from 'vitest';
import { AuthKitError } from '../../src/errors.js';
import { createRefresh } from '../../src/session/refresh.js';
import { toSession, type Session } from '../../src/session/sealed-session.js';
import type { RefreshResult } from '../../src/session/refresh-at-workos.js';
import { FETCH, send } from '../support/browser.js';
import { mapStore } from '../support/map-store.js';
import { ADA, createTestApp } from '../support/app.js';

const LATER = 301_000;

function sessionOf(refreshToken: string): Session {
  const claims = Buffer.from(JSON.stringify({ sub: 'u', exp: 7200, jti: refreshToken })).toString(
    'base64url',
  );
  return toSession({ accessToken: `x.${claims}.x`, refreshToken, user: { id: 'u' } as Session['user'] }, {});
}

/** Refreshes sessions of a given size at a WorkOS that counts calls by refresh token. */
function refreshing(size: number, maxBytes: number) {
  const calls: string[] = [];
  const refreshTokens = async ({ refreshToken }: Session): Promise<RefreshResult> => {
    calls.push(refreshToken);
    const session = sessionOf(`${refreshToken}+`);
    return { kind: 'refreshed', organization: '', session, sealed: 's'.repeat(size) };
  };
  return { calls, ...createRefresh({ clientId: 'client_1', refreshTokens, now: () => 1000, maxBytes }) };
}

test('the results of refreshes are limited in bytes: the oldest ones make room', async () => {
  const { run, calls } = refreshing(10_000, 1_000_000);
  for (let user = 0; user < 100; user += 1) await run(sessionOf(`rt_${user}`), undefined);
  calls.length = 0;
  for (let user = 99; user >= 80; user -= 1) await run(sessionOf(`rt_${user}`), undefined);
  expect(calls).toEqual([]);
  await run(sessionOf('rt_0'), undefined);
  expect(calls).toEqual(['rt_0']);
});

test('the newest of several refreshes replaces all sessions before it', async () => {
  const { run, successorOf, isReplaced } = refreshing(10, 1_000_000);
  const [first, other] = [sessionOf('rt'), sessionOf('other')];
  expect([successorOf(first), isReplaced(first)]).toEqual([undefined, false]);
  const second = (await run(first, undefined)) as { session: Session };
  const third = (await run(second.session, undefined)) as { session: Session };
  expect(successorOf(first)).toBe(third);
  expect([first, second.session, third.session, other].map(isReplaced)).toEqual([true, true, false, false]);
});

test('refusals of one token for many organizations do not pile up', async () => {
  const calls: (string | undefined)[] = [];
  const error = { code: 'sso_required' } as never;
  const refreshTokens = async (_: Session, organization: string | undefined): Promise<RefreshResult> => {
    calls.push(organization);
    return { kind: 'refused', error };
  };
  const { run } = createRefresh({ clientId: 'client_1', refreshTokens, now: () => 1000 });
  for (let id = 0; id < 100; id += 1) await run(sessionOf('rt'), `org_${id}`);
  calls.length = 0;
  await run(sessionOf('rt'), 'org_99');
  expect(calls).toEqual([]);
  await run(sessionOf('rt'), 'org_0');
  expect(calls).toEqual(['org_0']);
});

test('of the refusals of one token, those of the last 32 organizations are remembered', async () => {
  const calls: (string | undefined)[] = [];
  const refreshTokens = async (_: Session, organization: string | undefined): Promise<RefreshResult> => {
    calls.push(organization);
    return { kind: 'refused', error: { code: 'sso_required' } as never };
  };
  const { run } = createRefresh({ clientId: 'client_1', refreshTokens, now: () => 1000 });
  for (let id = 0; id < 32; id += 1) await run(sessionOf('rt'), `org_${id}`);
  calls.length = 0;
  await run(sessionOf('rt'), 'org_0');
  expect(calls).toEqual([]);
  await run(sessionOf('rt'), 'org_32');
  await run(sessionOf('rt'), 'org_1');
  expect(calls).toEqual(['org_32']);
  await run(sessionOf('rt'), 'org_0');
  expect(calls).toEqual(['org_32', 'org_0']);
});

test('a sign-in replaces the newest session that came from a cookie, for an hour', async () => {
  let clock = 1000;
  const refreshTokens = ({ refreshToken }: Session): Promise<RefreshResult> =>
    Promise.resolve({
      kind: 'refreshed',
      organization: '',
      session: sessionOf(`${refreshToken}+`),
      sealed: 's',
    });
  const { run, markReplaced, isReplaced } = createRefresh({
    clientId: 'client_1',
    refreshTokens,
    now: () => clock,
  });
  await run(sessionOf('rt'), undefined);
  markReplaced(sessionOf('rt'));
  markReplaced(sessionOf('alone'));
  const replaced = () => ['rt', 'rt+', 'alone', 'other'].map((name) => isReplaced(sessionOf(name)));
  expect(replaced()).toEqual([true, true, true, false]);
  clock += 3_599_000;
  expect(replaced()).toEqual([true, true, true, false]);
  clock += 2000;
  expect(replaced()).toEqual([false, false, false, false]);
});

test('T69 a sign-in also replaces the sessions to which a refresh in progress leads, whatever their number', async () => {
  const finish: (() => void)[] = [];
  const refreshTokens = ({ refreshToken }: Session, organization = ''): Promise<RefreshResult> =>
    new Promise((resolve) => {
      finish.push(() => {
        resolve({ kind: 'refreshed', organization, session: sessionOf(`${refreshToken}+`), sealed: 's' });
      });
    });
  const { run, markReplaced, isReplaced } = createRefresh({
    clientId: 'client_1',
    refreshTokens,
    now: () => 1000,
  });
  const refreshing = run(sessionOf('rt'), undefined);
  const switching = run(sessionOf('rt'), 'org_b');
  markReplaced(sessionOf('rt'));
  finish[0]!();
  await refreshing;
  await vi.waitFor(() => {
    expect(finish).toHaveLength(2);
  });
  finish[1]!();
  expect(await switching).toMatchObject({ session: { refreshToken: 'rt++' } });
  expect(['rt', 'rt+', 'rt++'].map((name) => isReplaced(sessionOf(name)))).toEqual([true, true, true]);
});

test('a refresh that returns the same refresh token replaces no session', async () => {
  const refreshTokens = (session: Session): Promise<RefreshResult> =>
    Promise.resolve({ kind: 'refreshed', organization: '', session, sealed: 's' });
  const { run, successorOf, isReplaced } = createRefresh({
    clientId: 'client_1',
    refreshTokens,
    now: () => 1000,
  });
  await run(sessionOf('rt'), undefined);
  expect(isReplaced(sessionOf('rt'))).toBe(false);
  expect(successorOf(sessionOf('rt'))).toBeUndefined();
});

test('sessions that replace each other in a circle do not keep a request busy', async () => {
  const other: Record<string, string> = { a: 'b', b: 'a' };
  const refreshTokens = ({ refreshToken }: Session): Promise<RefreshResult> =>
    Promise.resolve({
      kind: 'refreshed',
      organization: '',
      session: sessionOf(other[refreshToken]!),
      sealed: 's',
    });
  const { run, successorOf } = createRefresh({ clientId: 'client_1', refreshTokens, now: () => 1000 });
  await run(sessionOf('a'), undefined);
  await run(sessionOf('b'), undefined);
  expect(successorOf(sessionOf('a'))?.kind).toBe('refreshed');
});

test('the pause after a failed refresh ends by the monotonic clock if the system clock was set back', async () => {
  let clock = 1_000_000;
  const monotonic = vi.spyOn(performance, 'now').mockReturnValue(5000);
  onTestFinished(() => {
    monotonic.mockRestore();
  });
  const error = new AuthKitError('upstream_unavailable', 'down');
  const refreshTokens = (): Promise<RefreshResult> => Promise.resolve({ kind: 'unavailable', error });
  const { run, canRefreshAhead } = createRefresh({ clientId: 'client_1', refreshTokens, now: () => clock });
  await run(sessionOf('rt'), undefined);
  clock -= 3_600_000;
  monotonic.mockReturnValue(14_999);
  expect(canRefreshAhead(sessionOf('rt'))).toBe(false);
  monotonic.mockReturnValue(15_000);
  expect(canRefreshAhead(sessionOf('rt'))).toBe(true);
});

test('the size of a result grows with the seal and with the access token', async () => {
  const keptOf = async (sealLength: number, tokenLength: number) => {
    const calls: string[] = [];
    const refreshTokens = ({ refreshToken }: Session): Promise<RefreshResult> => {
      calls.push(refreshToken);
      const session = { ...sessionOf(`${refreshToken}+`), accessToken: 'x'.repeat(tokenLength) };
      return Promise.resolve({
        kind: 'refreshed',
        organization: '',
        session,
        sealed: 's'.repeat(sealLength),
      });
    };
    const maxBytes = 409_600;
    const { run } = createRefresh({ clientId: 'client_1', refreshTokens, now: () => 1000, maxBytes });
    for (let user = 0; user < 300; user += 1) await run(sessionOf(`rt_${user}`), undefined);
    // From the newest to the oldest, up to the first that WorkOS is asked for again.
    for (let kept = 0; kept < 300; kept += 1) {
      await run(sessionOf(`rt_${299 - kept}`), undefined);
      if (calls.length > 300) return kept;
    }
    return 300;
  };
  // A result counts twice its seal, its token, and 512 bytes.
  expect(await keptOf(1024, 1536)).toBe(100);
  expect(await keptOf(3072, 1536)).toBe(50);
  expect(await keptOf(1024, 5632)).toBe(50);
});

test('requests that share a refresh write the session to the store once', async () => {
  const writes: string[] = [];
  const plain = mapStore();
  const count =
    <A extends [string, ...unknown[]]>(call: (...args: A) => Promise<unknown>) =>
    (...args: A) => {
      if (args[0].includes('session:')) writes.push(args[0]);
      return call(...args);
    };
  const store = {
    ...plain,
    set: count(plain.set),
    add: count(plain.add) as typeof plain.add,
    replace: count(plain.replace) as typeof plain.replace,
  };
  const site = await createTestApp('express5', { authkit: { store, session: 'store' } });
  await site.signIn();
  const cookie = await site.browser.jar.getCookieString(site.origin);
  site.workos.clock.advance(LATER);
  writes.length = 0;
  const replies = await Promise.all(
    Array.from({ length: 10 }, () => send(`${site.origin}/account`, { headers: { ...FETCH, cookie } })),
  );
  expect(replies.map(({ status }) => status)).toEqual(Array.from({ length: 10 }, () => 200));
  expect(writes).toHaveLength(1);
});

test('new tokens under a key that is not known yet are verified, although keys were fetched a moment ago', async () => {
  const site = await createTestApp('express5');
  const cookie = await site.cookie({ user: ADA });
  const account = () => send(`${site.origin}/account`, { headers: { ...FETCH, cookie } });
  site.workos.clock.advance(LATER);
  // A request with an unrelated session fetches the keys just before WorkOS rotates them.
  const other = await site.cookie({ user: 'grace@example.com' });
  expect((await send(`${site.origin}/account`, { headers: { ...FETCH, cookie: other } })).status).toBe(200);
  await site.workos.rotateKeys({ keepOld: true });
  const [refreshes, fetches] = [site.workos.callsTo('refresh').length, site.workos.callsTo('jwks').length];
  const reply = await account();
  expect(reply.status).toBe(200);
  expect(reply.setCookies.filter((line) => line.startsWith('wos-session='))).toHaveLength(1);
  expect(site.workos.callsTo('refresh').length - refreshes).toBe(1);
  expect(site.workos.callsTo('jwks').length - fetches).toBe(1);
});

test('the genuine session of another user in the answer to a refresh is not accepted', async () => {
  const site = await createTestApp('express5');
  const ada = await site.cookie({ user: ADA });
  site.workos.clock.advance(LATER);
  const graceToken = await site.workos.accessToken({ user: 'grace@example.com' });
  const adaUser = site.workos.users().find(({ email }) => email === ADA)!;
  const graceUser = site.workos.users().find(({ email }) => email === 'grace@example.com')!;
  for (const [user, isTokenForeign] of [
    [graceUser, true],
    [graceUser, false],
    [adaUser, true],
  ] as const) {
    const { restore } = site.workos.fail({
      on: 'refresh',
      alter: (body) => ({
        ...body,
        user: { ...(body['user'] as object), id: user.id },
        ...(isTokenForeign ? { access_token: graceToken } : {}),
      }),
    });
    const reply = await send(`${site.origin}/account`, { headers: { ...FETCH, cookie: ada } });
    expect(reply.status).toBe(503);
    expect(reply.setCookies).toEqual([]);
    restore();
  }
  const reply = await send(`${site.origin}/account`, { headers: { ...FETCH, cookie: ada } });
  expect(JSON.parse(reply.body)).toMatchObject({ email: ADA });
});
