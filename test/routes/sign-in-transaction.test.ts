import * as oauth from 'oauth4webapi';
import { expect, test } from 'vitest';
import { seal } from '../../src/session/iron-seal.js';
import { codeChallenge, codeVerifierOf } from '../../src/routes/pkce.js';
import type { Config } from '../../src/config/index.js';
import {
  isJson,
  isSecretOf,
  isSame,
  newTransaction,
  openTransaction,
  returnRules,
  sealTransaction,
} from '../../src/routes/sign-in-transaction.js';
import { fingerprint } from '../../src/http/cookies.js';

const PASSWORD = 'correct-horse-battery-staple-0123456789';
const binding = { clientId: 'client_1', redirectUri: 'https://app.example.com/callback' };
const SEALS = { ...binding, cookiePasswords: [PASSWORD] } as const;
const NOW = 1_700_000_000_000;
const open = (sealed: string, now = NOW, to = binding, password = PASSWORD) =>
  openTransaction(sealed, {
    ...to,
    cookiePasswords: [password],
    signInLifetime: 600,
    now: () => now,
  });
const INVALID = { kind: 'invalid' };

test('a transaction can be sealed and opened by the same instance only', async () => {
  const { transaction } = newTransaction({ returnTo: '/x', state: { a: 1 }, from: 'app' }, NOW);
  const sealed = await sealTransaction(transaction, SEALS);
  expect(open(sealed)).toMatchObject({ kind: 'ok', transaction });
  expect(open(sealed, NOW, { ...binding, clientId: 'client_2' })).toEqual(INVALID);
  expect(open(sealed, NOW, { ...binding, redirectUri: 'https://app.example.com/other' })).toEqual(INVALID);
  expect(open(sealed, NOW, binding, 'another-password-0123456789-abcdefgh')).toEqual(INVALID);
});

test.each([
  [-120_001, 'invalid'],
  [-120_000, 'ok'],
  [0, 'ok'],
  [599_999, 'ok'],
  [600_000, 'expired'],
  [999_600_000, 'expired'],
])('%i ms after it was issued, a transaction is %s', async (age, kind) => {
  const sealed = await sealTransaction(newTransaction({ returnTo: '/' }, NOW).transaction, SEALS);
  expect(open(sealed, NOW + age).kind).toBe(kind);
});

test.each([
  ['no purpose', { purpose: undefined }],
  ['another purpose', { purpose: 'session' }],
  ['no hash of a secret', { secretHash: undefined }],
  ['a hash that is a number', { secretHash: 1 }],
  ['no returnTo', { returnTo: null }],
  ['a time that is text', { issuedAt: String(NOW) }],
])('%s is not a transaction', async (_, change) => {
  const good = {
    purpose: 'transaction',
    ...binding,
    secretHash: 'h',
    returnTo: '/',
    issuedAt: NOW,
  };
  expect(open(await seal(good, PASSWORD)).kind).toBe('ok');
  expect(open(await seal(JSON.parse(JSON.stringify({ ...good, ...change })) as object, PASSWORD))).toEqual(
    INVALID,
  );
  expect(open('')).toEqual(INVALID);
  expect(open(await seal([], PASSWORD))).toEqual(INVALID);
});

test('the code challenge is that of oauth4webapi and of the example in RFC 7636', async () => {
  expect(codeChallenge('dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk')).toBe(
    'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
  );
  const seen = new Set<string>();
  for (let time = 0; time < 50; time += 1) {
    const { secret } = newTransaction({ returnTo: '/' }, NOW);
    const codeVerifier = codeVerifierOf(secret);
    expect(codeChallenge(codeVerifier)).toBe(await oauth.calculatePKCECodeChallenge(codeVerifier));
    for (const random of [codeVerifier, secret]) {
      expect(random).toMatch(/^[\w-]{43}$/);
      seen.add(random);
    }
  }
  expect(seen.size).toBe(100);
});

test('the fingerprint of a state is its FNV-1a-32 hash in eight hexadecimal digits', () => {
  expect(fingerprint('')).toBe('811c9dc5');
  expect(fingerprint('a')).toBe('e40c292c');
  expect(fingerprint('foobar')).toBe('bf9cf968');
  // Computed over the UTF-8 bytes C3 A9, not over the single UTF-16 unit.
  expect(fingerprint('é')).toBe('1e9de8c1');
  for (let index = 0; index < 2000; index += 1) expect(fingerprint(String(index))).toMatch(/^[\da-f]{8}$/);
});

test('isSame compares two strings', () => {
  expect(isSame('a', 'a')).toBe(true);
  for (const other of ['', 'b', 'aa', 'A']) expect(isSame('a', other)).toBe(false);
});

test('a secret fits its own transaction only, and is not in it', async () => {
  const [one, other] = [newTransaction({ returnTo: '/' }, NOW), newTransaction({ returnTo: '/' }, NOW)];
  expect(Buffer.from(one.secret, 'base64url')).toHaveLength(32);
  expect(isSecretOf(one.secret, one.transaction)).toBe(true);
  for (const secret of [other.secret, '', one.transaction.secretHash, `${one.secret}A`])
    expect(isSecretOf(secret, one.transaction)).toBe(false);
  const opened = JSON.stringify(open(await sealTransaction(one.transaction, SEALS)));
  expect(opened).not.toContain(one.secret);
  expect(opened).not.toContain(codeVerifierOf(one.secret));
});

test('a transaction has no prototype, and holds what was given and when it was made', () => {
  const { transaction, secret } = newTransaction({ returnTo: '/x', from: 'link' }, NOW);
  expect(Object.getPrototypeOf(transaction)).toBeNull();
  expect({ ...transaction }).toEqual({
    returnTo: '/x',
    from: 'link',
    secretHash: expect.stringMatching(/^[\w-]{43}$/) as string,
    issuedAt: NOW,
  });
  expect(transaction.secretHash).not.toBe(secret);
});

test('with a callback of its own, a sign-in returns to the origin of that callback, and not to the callback', () => {
  const returnToRules = { origin: 'https://a.example', origins: ['https://c.example'], ownPaths: ['/login'] };
  const config = { returnToRules } as unknown as Config;
  expect(returnRules(config, undefined)).toBe(returnToRules);
  expect(returnRules(config, 'https://b.example/other/callback?x=1')).toEqual({
    origin: 'https://b.example',
    origins: ['https://c.example'],
    ownPaths: ['/login', '/other/callback'],
  });
});

/** A list in a list, and so on. */
function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < depth; level += 1) value = level % 2 === 0 ? [value] : { value };
  return value;
}

test.each<[unknown, boolean]>([
  [null, true],
  ['', true],
  [false, true],
  [0, true],
  [NaN, false],
  [Infinity, false],
  [undefined, false],
  [1n, false],
  [() => 1, false],
  [Symbol('x'), false],
  [[], true],
  [[1, 'a', null], true],
  [[1, NaN], false],
  [[undefined], false],
  [{}, true],
  [{ a: { b: [1] } }, true],
  [{ a: undefined }, true],
  [{ a: NaN, b: 1 }, false],
  [{ a: 1, b: NaN }, false],
  [Object.assign(Object.create(null) as object, { a: 1 }), true],
  [new Date(0), false],
  [new Map(), false],
  [Object.create({ a: 1 }), false],
  [nested(32), true],
  [nested(33), false],
])('%o stays the same in JSON: %s', (value, expected) => {
  expect(isJson(value)).toBe(expected);
});
