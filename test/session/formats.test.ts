import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openTransaction, sealTransaction } from '../../src/routes/sign-in-transaction.js';
import { createRevocation, type Revocation } from '../../src/session/revocation.js';
import { withRefreshLock } from '../../src/session/refresh-lock.js';
import { open, seal } from '../../src/session/iron-seal.js';
import {
  openSession,
  sealSession,
  SESSION_VERSION,
  toSession,
  withTokens,
  type Session,
  type SessionIdentity,
} from '../../src/session/sealed-session.js';
import { openSSOSession, sealSSOSession, type SSOSession } from '../../src/session/sealed-sso-session.js';
import { createSessionStorage } from '../../src/session/cookie-or-store.js';
import { createSessionIds } from '../../src/session/sessions-in-store.js';
import { createSignedStore } from '../../src/stores/signed-store.js';
import { FETCH, send } from '../support/browser.js';
import { mapStore } from '../support/map-store.js';
import { createTestApp } from '../support/app.js';

/** Signs in to a session that may have ended before. */
async function reopen(revocation: Revocation, identity: SessionIdentity): Promise<boolean> {
  return revocation.reopenSession(identity, await revocation.endOf(identity));
}

/**
 * What each version of the formats wrote: cookies and store entries. Every release must be able to read all of them,
 * because during a deployment it runs alongside the previous release, and afterwards it uses the store and the cookies
 * left by it.
 *
 * To change a format, let one release read the new form. In the next release, which writes it, increase
 * `SESSION_VERSION` and run this test once to record the new version. Never change what has been recorded.
 */
const FOLDER = join(import.meta.dirname, '..', 'fixtures', 'formats');

const PASSWORD = 'a-password-for-recorded-formats-and-for-nothing-else';
const CLIENT = 'client_01FORMATS';
const NOW = 1_800_000_000_000;
const ID = 'Zm9ybWF0cy1mb3JtYXRzLWZvcm1hdHMtZm9ybWF0cy0';

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
const token = (claims: object) => `${part({ alg: 'RS256', kid: 'k' })}.${part(claims)}.c2lnbmF0dXJl`;
const TIMES = { iat: NOW / 1000 - 10, exp: NOW / 1000 + 290 };

const USER = { object: 'user', id: 'user_01', email: 'ada@example.com' } as unknown as Session['user'];

const SESSION: Session = toSession(
  {
    accessToken: token({ sub: 'user_01', sid: 'session_01', org_id: 'org_01', ...TIMES }),
    refreshToken: 'rt_01',
    user: USER,
    organizationId: 'org_01',
    authenticationMethod: 'Password',
    impersonator: { email: 'admin@example.com', reason: 'support' },
  },
  { authenticatedAt: NOW / 1000 - 20, signedInAt: NOW / 1000 - 10, data: { plan: 'pro' }, tokenMac: 'bWFj' },
);

const SSO_SESSION = {
  id: 'sso_01',
  profile: { id: 'prof_01', email: 'ada@example.com', connectionId: 'conn_01' },
  signedInAt: NOW / 1000,
  expiresAt: NOW / 1000 + 3600,
  data: { plan: 'pro' },
} as unknown as SSOSession;

const TRANSACTION = {
  secretHash: 'aGFzaA',
  returnTo: '/account',
  from: 'app' as const,
  state: { cart: 7 },
  earlierSessions: [{ idHash: 'aGFzaA', sessionId: 'session_00' }],
  issuedAt: NOW,
};

const BINDING = {
  clientId: CLIENT,
  redirectUri: 'https://app.example.com/callback',
  cookiePasswords: [PASSWORD] as const,
  now: () => NOW,
  signInLifetime: 600,
};

function storeOver(map: Map<string, string>) {
  return createSignedStore({
    store: mapStore(map),
    clientId: CLIENT,
    passwords: [PASSWORD],
    timeout: 10_000,
  });
}

const openAny = (sealed: string) => openSession(sealed, [PASSWORD], NOW, Infinity);
const never = () => Promise.reject(new Error('not needed'));
const NEXT = withTokens(
  SESSION,
  {
    accessToken: token({ sub: 'user_01', sid: 'session_01', iat: TIMES.iat + 1, exp: TIMES.exp }),
    refreshToken: 'rt_02',
    user: USER,
    organizationId: 'org_01',
  },
  'bWFjMg',
);

interface Recorded {
  readonly version: number;
  /** Seals have random parts. */
  readonly seals: Readonly<Record<'session' | 'ssoSession' | 'transaction', string>>;
  /** The cookie of a stored session, which is the same every time. */
  readonly storedCookie: string;
  readonly store: Readonly<Record<string, string>>;
}

/** Everything that this release writes. */
async function writeAll(): Promise<Recorded> {
  const map = new Map<string, string>();
  const store = storeOver(map);
  const sealed = await sealSession(SESSION, PASSWORD);
  await store.put('session', ID, sealed, 60_000);
  const revocation = createRevocation({ clientId: CLIENT, store, now: () => NOW });
  await revocation.endSession('session_ended');
  await revocation.endSession('session_again');
  await reopen(revocation, {
    sessionId: 'session_again',
    userId: 'user_01',
    issuedAt: NOW / 1000,
    tokenId: 'jti_01',
  });
  await revocation.endUser('user_ended', NOW);
  await revocation.changeUser('user_changed', NOW);
  const next = await sealSession(NEXT, PASSWORD);
  const refresh = withRefreshLock(
    () => Promise.resolve({ kind: 'refreshed', organization: 'org_01', session: NEXT, sealed: next }),
    { store, open: openAny, now: () => NOW, waitForLock: 0 },
  );
  await refresh(SESSION, 'org_01');
  for (const key of map.keys()) if (key.startsWith('lock:')) map.delete(key);
  return {
    version: SESSION_VERSION,
    seals: {
      session: sealed,
      ssoSession: await sealSSOSession(SSO_SESSION, BINDING),
      transaction: await sealTransaction(TRANSACTION, BINDING),
    },
    storedCookie: createSessionIds([PASSWORD]).write(ID, SESSION),
    store: Object.fromEntries(map),
  };
}

/** The contents of a text without the random parts of seals. */
function plain(text: string): unknown {
  const match = /^(.*?)(Fe26\.2\S+)(.*)$/s.exec(text);
  if (!match) return text;
  const [, before, sealed = '', after] = match;
  // In the store, the text starts with a signature that covers the random parts.
  return [before?.replace(/[\w-]{43}/, 'signature'), open(sealed, [PASSWORD], NOW, Infinity), after];
}

function comparable({ version, seals, storedCookie, store }: Recorded): unknown {
  const contentOf = (texts: Readonly<Record<string, string>>) =>
    Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, plain(text)]));
  return { version, seals: contentOf(seals), storedCookie, store: contentOf(store) };
}

const fileOf = (version: number) => join(FOLDER, `v${version}.json`);
const read = (version: number) => JSON.parse(readFileSync(fileOf(version), 'utf8')) as Recorded;

test('19G what this release writes is what is recorded for its version, so a change needs a new one', async () => {
  const written = await writeAll();
  const isNew = !existsSync(fileOf(SESSION_VERSION));
  if (isNew) writeFileSync(fileOf(SESSION_VERSION), `${JSON.stringify(written, undefined, 2)}\n`);
  expect(isNew && process.env['CI'] !== undefined, 'the records of this version are missing').toBe(false);
  expect(comparable(written)).toEqual(comparable(read(SESSION_VERSION)));
});

const versions = readdirSync(FOLDER).map((name) => Number(/^v(\d+)\.json$/.exec(name)?.[1]));

describe.each(versions)('19G what version %i wrote', (version) => {
  const recorded = read(version);

  test('is read: sessions in cookies, SSO sessions and sign-ins in progress', () => {
    expect(openSession(recorded.seals.session, [PASSWORD], NOW)).toEqual(SESSION);
    expect(openSSOSession(recorded.seals.ssoSession, BINDING)).toEqual(SSO_SESSION);
    const opened = openTransaction(recorded.seals.transaction, BINDING);
    expect(opened).toMatchObject({ kind: 'ok', transaction: TRANSACTION });
  });

  test('is read: a session in the store, and what it was refreshed to', async () => {
    const store = storeOver(new Map(Object.entries(recorded.store)));
    const storage = createSessionStorage({
      mode: 'store',
      store,
      passwords: [PASSWORD],
      open: openAny,
      openStored: openAny,
      seal: (session) => sealSession(session, PASSWORD),
      problemOf: () => 'format',
      lifetime: 60_000,
    });
    const session = await storage.open(recorded.storedCookie);
    expect(session).toEqual(SESSION);
    expect(storage.isOutdated(session as Session)).toBe(false);
    const refresh = withRefreshLock(never, { store, open: openAny, now: () => NOW, waitForLock: 0 });
    expect(await refresh(SESSION, 'org_01')).toMatchObject({
      kind: 'refreshed',
      organization: 'org_01',
      session: NEXT,
    });
  });

  test('is read: which sessions were ended, and which users changed', async () => {
    const store = storeOver(new Map(Object.entries(recorded.store)));
    const { status } = createRevocation({ clientId: CLIENT, store, now: () => NOW });
    const of = (sessionId: string, userId = 'user_01', issuedAt = NOW / 1000 - 10, tokenId?: string) =>
      status({ sessionId, userId, issuedAt, tokenId });
    expect(await of('session_ended')).toBe('revoked');
    expect(await of('session_again')).toBe('revoked');
    expect(await of('session_again', 'user_02', NOW / 1000, 'jti_01')).toBe('active');
    expect(await of('session_02', 'user_ended')).toBe('revoked');
    expect(await of('session_03', 'user_changed')).toBe('changed');
    expect(await of('session_04')).toBe('active');
  });
});

function withoutExtension(session: Session): Omit<Session, 'extension'> {
  const { extension, ...fields } = session;
  expect(extension).toBeDefined();
  return fields;
}

describe('19G what a later release wrote', () => {
  const later = { purpose: 'session', version: SESSION_VERSION + 1, authenticatedAt: 7, device: { id: 'd' } };

  test('is a session, and what this release does not know is kept when it is refreshed', async () => {
    const fields = withoutExtension(SESSION);
    const sealed = await seal({ ...fields, authkitExpress: later }, PASSWORD);
    const session = openAny(sealed)!;
    expect(session).toMatchObject({ ...fields, extension: { authenticatedAt: 7 } });
    const next = withTokens(session, { ...fields, refreshToken: 'rt_02' });
    const payload = open(await sealSession(next, PASSWORD), [PASSWORD], NOW) as Record<string, unknown>;
    expect(payload['authkitExpress']).toEqual(later);
  });

  test.each([['2'], [undefined], [null], [0.5], [1], [{}]])(
    'a version that is %j is not later: unknown fields are ignored',
    async (version) => {
      const fields = withoutExtension(SESSION);
      const extension = { purpose: 'session', version, device: 'x', authenticatedAt: 7 };
      const sealed = await seal({ ...fields, authkitExpress: extension }, PASSWORD);
      expect({ ...openAny(sealed)!.extension }).toEqual({ authenticatedAt: 7 });
    },
  );

  test('for another purpose is no session', async () => {
    const fields = withoutExtension(SESSION);
    const sealed = await seal({ ...fields, authkitExpress: { ...later, purpose: 'session2' } }, PASSWORD);
    expect(openAny(sealed)).toBeUndefined();
  });

  test('as an entry of the store is 503 and signs no user out, and as a cookie is left alone', async () => {
    const map = new Map<string, string>();
    const at = await createTestApp('express5', { authkit: { store: mapStore(map), session: 'store' } });
    expect((await at.signIn()).status).toBe(200);
    for (const [key, value] of map) map.set(key, value.replace(/^1\./, '2.'));
    const other = await at.sibling();
    const cookie = await at.browser.jar.getCookieString(at.origin);
    const stored = await send(`${other.origin}/account`, { headers: { ...FETCH, cookie } });
    expect({ status: stored.status, cookies: stored.setCookies }).toEqual({ status: 503, cookies: [] });
    const unknown = cookie.replace('s1.', 's2.');
    const reply = await send(`${other.origin}/account`, { headers: { ...FETCH, cookie: unknown } });
    expect({ status: reply.status, cookies: reply.setCookies }).toEqual({ status: 401, cookies: [] });
  });
});
