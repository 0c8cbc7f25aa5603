import { expect, test } from 'vitest';
import { open, seal } from '../../src/session/iron-seal.js';
import { openPayload, type PayloadPurpose, sealPayload } from '../../src/session/purpose-bound-seal.js';

const PASSWORD = 'correct-horse-battery-staple-0123456789';
const NOW = 1_700_000_000_000;
const binding = {
  clientId: 'client_1',
  redirectUri: 'https://app.example.com/callback',
  cookiePasswords: [PASSWORD] as [string, ...string[]],
  now: () => NOW,
};
const BOUND: PayloadPurpose = { name: 'bound', isBoundToRedirectUri: true, lifetime: 60_000 };
const UNBOUND: PayloadPurpose = { name: 'unbound', isBoundToRedirectUri: false };
const at = (now: number) => ({ ...binding, now: () => now });

test('a payload is opened for the purpose and the instance that sealed it, and for no other', async () => {
  const sealed = await sealPayload(BOUND, binding, { answer: 42, missing: undefined });
  expect(openPayload(BOUND, binding, sealed)).toMatchObject({ answer: 42 });
  expect(openPayload({ ...BOUND, name: 'another' }, binding, sealed)).toBeUndefined();
  expect(openPayload(BOUND, { ...binding, clientId: 'client_2' }, sealed)).toBeUndefined();
  const elsewhere = { ...binding, redirectUri: 'https://app.example.com/other' };
  expect(openPayload(BOUND, elsewhere, sealed)).toBeUndefined();
  const other = 'another-password-0123456789-abcdefgh';
  expect(openPayload(BOUND, { ...binding, cookiePasswords: [other] }, sealed)).toBeUndefined();
  expect(openPayload(BOUND, { ...binding, cookiePasswords: [other, PASSWORD] }, sealed)).toBeDefined();
});

test('a purpose that is not bound to the redirect URI is valid at each of them, but at one client only', async () => {
  const sealed = await sealPayload(UNBOUND, binding);
  const elsewhere = { ...binding, redirectUri: 'https://app.example.com/other' };
  expect(openPayload(UNBOUND, elsewhere, sealed)).toBeDefined();
  expect(openPayload(UNBOUND, { ...binding, clientId: 'client_2' }, sealed)).toBeUndefined();
  expect(openPayload({ ...UNBOUND, isBoundToRedirectUri: true }, binding, sealed)).toBeUndefined();
});

test.each([
  [-120_001, false],
  [-120_000, true],
  [0, true],
  [59_999, true],
  [60_000, false],
])('%i ms after it was sealed, a payload with a lifetime of a minute opens: %s', async (age, isOpen) => {
  const sealed = await sealPayload(BOUND, binding);
  expect(openPayload(BOUND, at(NOW + age), sealed) !== undefined).toBe(isOpen);
});

test('a purpose can allow for less clock skew, and one without a lifetime does not expire', async () => {
  const sealed = await sealPayload(BOUND, binding);
  expect(openPayload({ ...BOUND, clockSkew: 10 }, at(NOW - 10), sealed)).toBeDefined();
  expect(openPayload({ ...BOUND, clockSkew: 10 }, at(NOW - 11), sealed)).toBeUndefined();
  const lasting = await sealPayload(UNBOUND, binding);
  for (const now of [0, NOW + 1e12]) expect(openPayload(UNBOUND, at(now), lasting)).toBeDefined();
});

test('data cannot change what a payload is sealed for', async () => {
  const data = { purpose: 'another', clientId: 'client_2', redirectUri: 'https://evil.example', issuedAt: 0 };
  const sealed = await sealPayload(BOUND, binding, data);
  expect(open(sealed, [PASSWORD], NOW)).toEqual({
    purpose: 'bound',
    clientId: binding.clientId,
    redirectUri: binding.redirectUri,
    issuedAt: NOW,
  });
});

const GOOD = { purpose: 'bound', clientId: 'client_1', redirectUri: binding.redirectUri, issuedAt: NOW };

test.each<[string, unknown]>([
  ['no purpose', { ...GOOD, purpose: undefined }],
  ['no client', { ...GOOD, clientId: undefined }],
  ['no redirect URI', { ...GOOD, redirectUri: undefined }],
  ['no time', { ...GOOD, issuedAt: undefined }],
  ['a time that is text', { ...GOOD, issuedAt: String(NOW) }],
  ['a list', [GOOD]],
  ['null', null],
])('an authentic payload with %s is not opened', async (_, payload) => {
  expect(openPayload(BOUND, binding, await seal(GOOD, PASSWORD))).toBeDefined();
  const sealed = await seal(JSON.parse(JSON.stringify(payload)) as object, PASSWORD);
  expect(openPayload(BOUND, binding, sealed)).toBeUndefined();
});

test('a polluted Object.prototype does not fill in what a payload lacks', async () => {
  const sealed = await seal({ ...GOOD, purpose: undefined }, PASSWORD).catch(() => '');
  expect(open(sealed, [PASSWORD], NOW)).not.toHaveProperty('purpose');
  const prototype = Object.prototype as { purpose?: string };
  prototype.purpose = 'bound';
  try {
    expect(openPayload(BOUND, binding, sealed)).toBeUndefined();
  } finally {
    delete prototype.purpose;
  }
});
