import { expect, test, vi } from 'vitest';
import { createRevocation } from '../../src/session/revocation.js';
import { createSignedStore } from '../../src/stores/signed-store.js';
import { createTestApp, type Options, type TestApp } from '../support/app.js';
import { claimsOf, withClaims } from '../support/claims.js';
import { mapStore } from '../support/map-store.js';

const SECRET = 'whsec_of_this_test';

const accountOf = async ({ browser, origin }: TestApp) => (await browser.fetch(`${origin}/account`)).status;

test('T65 a session that is ended while a new sign-in is stored stays ended', async () => {
  let sessionId = '';
  let isEnding = false;
  const plain = mapStore();
  const store = {
    ...plain,
    async add(key: string, value: string) {
      const result = await plain.add(key, value, 1);
      if (isEnding && key.startsWith('session:')) {
        isEnding = false;
        await site.auth.revokeSession(sessionId);
      }
      return result;
    },
  };
  const authkit: Options = {
    store,
    session: 'store',
    onSuccess: ({ accessToken }) => {
      sessionId = String(claimsOf(accessToken)['sid']);
      isEnding = true;
    },
  };
  const site: TestApp = await createTestApp('express5', { authkit });
  await site.signIn();
  expect([sessionId === '', isEnding]).toEqual([false, false]);
  // The refresh token is not tested here: WorkOS refuses it, because the session has ended there too.
  expect(await accountOf(site)).toBe(401);
});

test('T65 a session that was ended here before a sign-in, and is ended again during it, stays ended', async () => {
  let again: string | undefined;
  const authkit: Options = {
    onSuccess: async () => {
      if (again !== undefined) await site.auth.revokeSession(again);
    },
  };
  const site: TestApp = await createTestApp('express5', { authkit, workos: { webhookSecret: SECRET } });
  await site.signIn();
  const sessionId = await sessionIdAt(site);
  await site.browser.fetch(`${site.origin}/logout`, { method: 'POST' });
  continueSession(site, sessionId);
  again = sessionId;
  await site.signIn();
  expect(await accountOf(site)).toBe(401);
  again = undefined;
  await site.signIn();
  expect(await accountOf(site)).toBe(200);
});

/** Gives the next sign-ins the ID of an earlier session, as WorkOS does if the user did not sign out of WorkOS. */
function continueSession({ workos }: TestApp, sid: string): void {
  workos.fail({
    on: 'code',
    alter: (body) => withClaims(workos, body, { sid }),
  });
}

const sessionIdAt = async ({ browser, origin }: TestApp) =>
  (JSON.parse((await browser.fetch(`${origin}/account`)).body) as { sessionId: string }).sessionId;

test.each([
  ['with a store', {}],
  ['with sessions in a store', { session: 'store' as const }],
])(
  'T65 a session that was ended before a sign-in, and is ended again during it by another process, stays ended, %s',
  async (_, options) => {
    let again: string | undefined;
    const authkit: Options = {
      ...options,
      store: mapStore(),
      onSuccess: async () => {
        if (again !== undefined) await other.auth.revokeSession(again);
      },
    };
    const site: TestApp = await createTestApp('express5', { authkit });
    const other = await site.sibling();
    await site.signIn();
    const sessionId = await sessionIdAt(site);
    await site.browser.fetch(`${site.origin}/logout`, { method: 'POST' });
    continueSession(site, sessionId);
    again = sessionId;
    await site.signIn();
    expect(await accountOf(site)).toBe(401);
    again = undefined;
    await site.signIn();
    expect(await accountOf(site)).toBe(200);
  },
);

test('T65 a sign-in accepts only a session that had ended before the sign-in', async () => {
  const now = () => 1_700_000_000_000;
  const revocation = createRevocation({ clientId: 'client_1', store: undefined, now });
  const identity = { sessionId: 'session_1', userId: 'user_1', issuedAt: 1_700_000_000, tokenId: 'new' };
  const none = await revocation.endOf(identity);
  await revocation.endSession('session_1');
  const first = await revocation.endOf(identity);
  await revocation.endSession('session_1');
  const second = await revocation.endOf(identity);
  for (const [end, status] of [
    [none, 'revoked'],
    [first, 'revoked'],
    [second, 'active'],
  ] as const) {
    expect(await revocation.reopenSession(identity, end)).toBe(true);
    expect(await revocation.status(identity)).toBe(status);
  }
});

test('a long sign-in is accepted if the store says again what it said at its beginning', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  try {
    const store = createSignedStore({
      store: mapStore(),
      clientId: 'client_1',
      passwords: ['a-password-for-tests-and-for-nothing-else'],
      timeout: 1000,
    });
    const now = () => 1_700_000_000_000;
    const [one, two] = [0, 1].map(() => createRevocation({ clientId: 'client_1', store, now }));
    const identity = { sessionId: 'session_1', userId: 'user_1', issuedAt: 1_700_000_000, tokenId: 'new' };
    await one!.endSession('session_1');
    const end = await two!.endOf(identity);
    vi.advanceTimersByTime(10_000);
    expect(await two!.status(identity)).toBe('revoked');
    expect(await two!.reopenSession(identity, end)).toBe(true);
    expect(await two!.status(identity)).toBe('active');
  } finally {
    vi.useRealTimers();
  }
});
