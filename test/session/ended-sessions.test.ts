import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { createRevocation, type Revocation } from '../../src/session/revocation.js';
import type { SessionIdentity } from '../../src/session/sealed-session.js';
import { createSignedStore } from '../../src/stores/signed-store.js';
import type { Store } from '../../src/stores/index.js';
import { FETCH, send } from '../support/browser.js';
import { mapStore } from '../support/map-store.js';
import { ADA, createTestApp, type TestApp } from '../support/app.js';

/** Signs in to a session that may have ended before. */
async function reopen(revocation: Revocation, identity: SessionIdentity): Promise<boolean> {
  return revocation.reopenSession(identity, await revocation.endOf(identity));
}

/** Longer than it may take a different process to find out, in milliseconds. */
const LEARNED = 600;
const SECOND = 1_700_000_000;
const NOW = SECOND * 1000;

const identity = (sessionId: string, userId = 'user_1', issuedAt = SECOND) => ({
  sessionId,
  userId,
  issuedAt,
});
const sign = (store: Store) =>
  createSignedStore({
    store,
    clientId: 'client_1',
    passwords: ['a-password-for-tests-and-for-nothing-else'],
    timeout: 1000,
  });

describe('what has ended stays ended', () => {
  test('T54 whatever number of users is changed', async () => {
    const revocation = createRevocation({ clientId: 'client_1', store: undefined, now: () => NOW });
    await revocation.endUser('user_deleted', NOW + 86_400_000);
    await revocation.endSession('session_ended');
    for (let user = 0; user < 20_000; user += 1) await revocation.changeUser(`user_${user}`, NOW);
    expect(await revocation.status(identity('session_1', 'user_deleted'))).toBe('revoked');
    expect(await revocation.status(identity('session_ended'))).toBe('revoked');
  });

  test('whatever number of other users and sessions is ended, up to 100,000 of each', async () => {
    const revocation = createRevocation({ clientId: 'client_1', store: undefined, now: () => NOW });
    await revocation.endUser('user_deleted', NOW + 86_400_000);
    await revocation.endSession('session_ended');
    for (let count = 1; count < 100_000; count += 1) {
      await revocation.endUser(`user_${count}`, NOW);
      await revocation.endSession(`session_${count}`);
    }
    expect(await revocation.status(identity('x', 'user_deleted'))).toBe('revoked');
    expect(await revocation.status(identity('session_ended'))).toBe('revoked');
  });

  test('T64 a changed user is not forgotten, whatever number of other users is changed, up to 100,000', async () => {
    const revocation = createRevocation({ clientId: 'client_1', store: undefined, now: () => NOW });
    await revocation.changeUser('user_demoted', NOW);
    for (let user = 1; user < 100_000; user += 1) await revocation.changeUser(`user_${user}`, NOW);
    expect(await revocation.status(identity('session_1', 'user_demoted', SECOND - 1))).toBe('changed');
  });

  test('for as long as its tokens live', async () => {
    let now = NOW;
    const revocation = createRevocation({ clientId: 'client_1', store: undefined, now: () => now });
    await revocation.endSession('session_ended');
    now += 86_400_000;
    expect(await revocation.status(identity('session_ended'))).toBe('revoked');
    now += 1;
    expect(await revocation.status(identity('session_ended'))).toBe('active');
  });
});

test('a process that forgets an ended session says so, once', async () => {
  const warnings: unknown[] = [];
  const heard = ({ code, message }: Error & { code?: string }) => warnings.push([code, message]);
  process.on('warning', heard);
  const revocation = createRevocation({ clientId: 'client_1', store: undefined, now: () => NOW });
  for (let count = 0; count < 100_010; count += 1) await revocation.endSession(`session_${count}`);
  await new Promise((resolve) => setImmediate(resolve));
  process.off('warning', heard);
  expect(warnings).toEqual([
    [
      'AUTHKIT_REVOCATION',
      'More than 100000 sessions or users were ended within a day, so this process forgets the oldest of them. ' +
        'Pass a store, which remembers all of them.',
    ],
  ]);
});

test('a token of the second in which its user was changed or ended counts as later, one of the second before does not', async () => {
  for (const [method, status] of [
    ['changeUser', 'changed'],
    ['endUser', 'revoked'],
  ] as const) {
    const revocation = createRevocation({ clientId: 'client_1', store: undefined, now: () => NOW + 500 });
    await revocation[method]('user_1', NOW + 500);
    expect(await revocation.status(identity('s', 'user_1', SECOND))).toBe('active');
    expect(await revocation.status(identity('s', 'user_1', SECOND - 1))).toBe(status);
  }
});

test('a sign-in in the second in which all sessions of the user were ended is not ended', async () => {
  let now = NOW + 100;
  const site = await createTestApp('express5', { workos: { now: NOW }, authkit: { now: () => now } });
  const cookieAt = (time: number) => {
    now = time;
    site.workos.clock.advance(time - site.workos.clock.now());
    return site.cookie({ user: ADA });
  };
  const before = await cookieAt(NOW + 100);
  now = NOW + 1100;
  await site.auth.revokeUserSessions(site.workos.users().find(({ email }) => email === ADA)!.id);
  const after = await cookieAt(NOW + 1900);
  const status = async (cookie: string) =>
    (await send(`${site.origin}/account`, { headers: { ...FETCH, cookie } })).status;
  expect([await status(before), await status(after)]).toEqual([401, 200]);
});

describe('the mark of a user that another process writes at the same moment', () => {
  test.each(['add', 'replace'] as const)(
    'is kept, and the own one is added by another %s',
    async (method) => {
      const map = new Map<string, string>();
      const plain = mapStore(map);
      const other = createRevocation({ clientId: 'client_1', store: sign(plain), now: () => NOW });
      if (method === 'replace') await other.endUser('user_1', 1);
      let isFirst = true;
      const racing: Store = {
        ...plain,
        async [method](...args: [never, never, never, never]) {
          if (isFirst) {
            isFirst = false;
            await other.endUser('user_1', NOW - 5000);
          }
          return (plain[method] as (...given: unknown[]) => Promise<boolean>)(...args);
        },
      };
      const revocation = createRevocation({ clientId: 'client_1', store: sign(racing), now: () => NOW });
      expect(await revocation.changeUser('user_1', NOW)).toBe(true);
      const third = createRevocation({ clientId: 'client_1', store: sign(plain), now: () => NOW });
      expect(await third.status(identity('s', 'user_1', SECOND - 2))).toBe('changed');
      expect(await third.status(identity('s', 'user_1', SECOND - 100))).toBe('revoked');
    },
  );
});

describe('a new sign-in in a WorkOS session that was signed out here', () => {
  test('ends tokens from before it only, in every process', async () => {
    const store = mapStore();
    const [one, two] = [0, 1].map(() =>
      createRevocation({ clientId: 'client_1', store: sign(store), now: () => NOW }),
    );
    await one!.endSession('session_1');
    expect(await two!.status(identity('session_1'))).toBe('revoked');
    expect(await reopen(one!, identity('session_1', 'user_1', SECOND + 10))).toBe(true);
    await wait(LEARNED);
    for (const process of [one!, two!]) {
      expect(await process.status(identity('session_1', 'user_1', SECOND + 10))).toBe('active');
      expect(await process.status(identity('session_1', 'user_1', SECOND + 9))).toBe('revoked');
    }
    await two!.endSession('session_1');
    await wait(LEARNED);
    for (const process of [one!, two!])
      expect(await process.status(identity('session_1', 'user_1', SECOND + 10))).toBe('revoked');
  });

  test.each([true, false])(
    'ends other tokens of the same second too (shared store: %s)',
    async (isShared) => {
      const store = isShared ? sign(mapStore()) : undefined;
      const [one, two] = [0, 1].map(() => createRevocation({ clientId: 'client_1', store, now: () => NOW }));
      const token = (tokenId: string, issuedAt = SECOND) => ({
        ...identity('session_1', 'user_1', issuedAt),
        tokenId,
      });
      await one!.endSession('session_1');
      expect(await reopen(one!, token('new'))).toBe(true);
      for (const process of isShared ? [one!, two!] : [one!]) {
        expect(await process.status(token('new'))).toBe('active');
        expect(await process.status(token('old'))).toBe('revoked');
        expect(await process.status(identity('session_1'))).toBe('revoked');
        expect(await process.status(token('renewed', SECOND + 1))).toBe('active');
      }
    },
  );

  test('is refused while the store that has to know is unavailable', async () => {
    let isDown = false;
    const plain = mapStore();
    const replace: Store['replace'] = (...args) =>
      isDown ? Promise.reject(new Error('down')) : plain.replace(...args);
    const revocation = createRevocation({
      clientId: 'client_1',
      store: sign({ ...plain, replace }),
      now: () => NOW,
    });
    await revocation.endSession('session_1');
    isDown = true;
    expect(await reopen(revocation, identity('session_1'))).toBe(false);
    expect(await reopen(revocation, identity('session_2'))).toBe(true);
  });

  test.each([
    ['cookie', 5000],
    ['store', 5000],
    ['cookie', 0],
    ['store', 0],
  ] as const)('is signed in, with the session in the %s, %i ms later', async (session, later) => {
    const site = await createTestApp('express5', { authkit: { store: mapStore(), session } });
    await site.signIn();
    const { sessionId } = JSON.parse((await site.browser.fetch(`${site.origin}/account`)).body) as {
      sessionId: string;
    };
    const before = await site.browser.jar.getCookieString(site.origin);
    await site.browser.fetch(`${site.origin}/logout`, { method: 'POST' });
    site.workos.clock.advance(later);
    site.workos.fail({ on: 'code', alter: (body) => withSessionId(site, body, sessionId) });
    await site.signIn();
    const reply = await site.browser.fetch(`${site.origin}/account`);
    expect(JSON.parse(reply.body)).toMatchObject({ email: ADA, sessionId });
    // A cookie from before the sign-out does not become valid again.
    const replayed = await send(`${site.origin}/account`, { headers: { ...FETCH, cookie: before } });
    expect(replayed.status).toBe(401);
  });
});

async function withSessionId(site: TestApp, body: Record<string, unknown>, sid: string) {
  const [, payload = ''] = String(body['access_token']).split('.');
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object;
  return { ...body, access_token: await site.workos.signToken({ ...claims, sid }) };
}

describe('signing in again', () => {
  const status = async (origin: string, cookie: string) =>
    (await send(`${origin}/account`, { headers: { ...FETCH, cookie } })).status;

  test('ends the session that the browser had, without a store', async () => {
    const site = await createTestApp('express5');
    await site.signIn();
    const before = await site.browser.jar.getCookieString(site.origin);
    expect(await status(site.origin, before)).toBe(200);
    await site.signIn('grace@example.com', '/login');
    expect(await status(site.origin, before)).toBe(401);
    expect(await status(site.origin, await site.browser.jar.getCookieString(site.origin))).toBe(200);
  });

  test.each(['cookie', 'store'] as const)(
    'ends it in every process that shares the store, with the session in the %s',
    async (session) => {
      const site = await createTestApp('express5', { authkit: { store: mapStore(), session } });
      const two = await site.sibling();
      await site.signIn();
      const before = await site.browser.jar.getCookieString(site.origin);
      expect(await status(two.origin, before)).toBe(200);
      await site.signIn('grace@example.com', '/login');
      await wait(LEARNED);
      for (const origin of [site.origin, two.origin]) expect(await status(origin, before)).toBe(401);
    },
  );

  test('ends no session of another browser', async () => {
    const site = await createTestApp('express5');
    const other = await site.cookie({ user: ADA });
    await site.signIn();
    await site.signIn('grace@example.com', '/login');
    expect(await status(site.origin, other)).toBe(200);
  });
});
