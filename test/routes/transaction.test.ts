import * as oauth from 'oauth4webapi';
import { expect, test } from 'vitest';
import { seal } from '../../src/session/seal.js';
import {
  codeChallenge,
  isSame,
  newTransaction,
  openTransaction,
  sealTransaction,
} from '../../src/routes/transaction.js';
import { fingerprint } from '../../src/http/cookies.js';

const PASSWORD = 'correct-horse-battery-staple-0123456789';
const binding = { clientId: 'client_1', redirectUri: 'https://app.example.com/callback' };
const NOW = 1_700_000_000_000;
const open = (sealed: string, now = NOW, to = binding) => openTransaction(sealed, to, [PASSWORD], now);

test('a transaction can be sealed and opened by the same instance only', async () => {
  const transaction = newTransaction({ returnTo: '/x', state: { a: 1 }, from: 'app' }, NOW);
  const sealed = await sealTransaction(transaction, binding, PASSWORD);
  expect(open(sealed)).toMatchObject({ ...transaction });
  expect(open(sealed, NOW, { ...binding, clientId: 'client_2' })).toBeUndefined();
  expect(open(sealed, NOW, { ...binding, redirectUri: 'https://app.example.com/other' })).toBeUndefined();
  expect(openTransaction(sealed, binding, ['another-password-0123456789-abcdefgh'], NOW)).toBeUndefined();
});

test.each([
  [-60_001, false],
  [-60_000, true],
  [0, true],
  [599_999, true],
  [600_000, false],
])('a transaction %i ms after it was issued opens: %s', async (age, isOpen) => {
  const sealed = await sealTransaction(newTransaction({ returnTo: '/' }, NOW), binding, PASSWORD);
  expect(open(sealed, NOW + age) !== undefined).toBe(isOpen);
});

test.each([
  ['no purpose', { purpose: undefined }],
  ['another purpose', { purpose: 'session' }],
  ['no nonce', { nonce: undefined }],
  ['no verifier', { codeVerifier: 1 }],
  ['no returnTo', { returnTo: null }],
  ['a time that is text', { issuedAt: String(NOW) }],
])('%s is not a transaction', async (_, change) => {
  const good = {
    purpose: 'transaction',
    ...binding,
    nonce: 'n',
    codeVerifier: 'v',
    returnTo: '/',
    issuedAt: NOW,
  };
  expect(open(await seal(good, PASSWORD))).toBeDefined();
  expect(
    open(await seal(JSON.parse(JSON.stringify({ ...good, ...change })) as object, PASSWORD)),
  ).toBeUndefined();
  expect(open('')).toBeUndefined();
  expect(open(await seal([], PASSWORD))).toBeUndefined();
});

test('the code challenge is that of oauth4webapi and of the example in RFC 7636', async () => {
  expect(codeChallenge('dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk')).toBe(
    'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
  );
  const seen = new Set<string>();
  for (let time = 0; time < 50; time += 1) {
    const { codeVerifier, nonce } = newTransaction({ returnTo: '/' }, NOW);
    expect(codeChallenge(codeVerifier)).toBe(await oauth.calculatePKCECodeChallenge(codeVerifier));
    for (const random of [codeVerifier, nonce]) {
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
  expect(fingerprint('é')).toBe('1e9de8c1');
  for (let index = 0; index < 2000; index += 1) expect(fingerprint(String(index))).toMatch(/^[\da-f]{8}$/);
});

test('isSame compares two strings', () => {
  expect(isSame('a', 'a')).toBe(true);
  for (const other of ['', 'b', 'aa', 'A']) expect(isSame('a', other)).toBe(false);
});
