import { createCipheriv, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { isSealed, open, seal } from '../../src/session/iron-seal.js';

const PASSWORD = 'correct-horse-battery-staple-0123456789';
const key = (salt: string) => pbkdf2Sync(PASSWORD, salt, 1, 32, 'sha1');

interface Form {
  prefix?: string;
  id?: string;
  salt?: string;
  hmacSalt?: string;
  expiration?: string;
  suffix?: string;
  plain?: string;
  /** Changes a part before it is signed. */
  iv?: (value: string) => string;
  ciphertext?: (value: string) => string;
  hmac?: (value: string) => string;
  extra?: string;
}

/** Makes a seal of any form with a valid MAC, which only the owner of the password can do. */
function made(form: Form = {}): string {
  const { prefix = 'Fe26.2', id = '1', expiration = '', suffix = '~2', plain = '{"a":1}', extra = '' } = form;
  const { salt = 'a'.repeat(64), hmacSalt = 'b'.repeat(64) } = form;
  const vector = randomBytes(16);
  const cipher = createCipheriv('aes-256-cbc', key(salt), vector);
  const encrypted = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()]).toString('base64url');
  const iv = form.iv?.(vector.toString('base64url')) ?? vector.toString('base64url');
  const signed = `${prefix}*${id}*${salt}*${iv}*${form.ciphertext?.(encrypted) ?? encrypted}*${expiration}`;
  const mac = createHmac('sha256', key(hmacSalt)).update(signed).digest('base64url');
  return `${signed}*${hmacSalt}*${form.hmac?.(mac) ?? mac}${extra}${suffix}`;
}

test('a seal made by hand opens', () => {
  expect(open(made(), [PASSWORD], 0)).toEqual({ a: 1 });
});

test.each<[string, Form]>([
  ['another prefix', { prefix: 'Fe26.1' }],
  ['a longer prefix', { prefix: 'xFe26.2' }],
  ['no version', { suffix: '' }],
  ['another version', { suffix: '~3' }],
  ['another password id', { id: '2' }],
  ['no password id', { id: '' }],
  ['a salt in capitals', { salt: 'A'.repeat(64) }],
  ['a long salt', { salt: 'a'.repeat(65) }],
  ['a salt behind something', { salt: `x${'a'.repeat(64)}` }],
  ['a short salt', { salt: 'a'.repeat(63) }],
  ['a long hmac salt', { hmacSalt: 'b'.repeat(65) }],
  ['an hmac salt behind something', { hmacSalt: `x${'b'.repeat(64)}` }],
  ['an expiration that is no number', { expiration: 'never' }],
  ['an expiration with something behind', { expiration: '9999999999999x' }],
  ['an expiration behind something', { expiration: 'x9999999999999' }],
  ['an expiration of 17 digits', { expiration: '99999999999999999' }],
  ['an expiration with a zero before', { expiration: '0999999999999' }],
  ['a short iv', { iv: (value) => value.slice(0, -4) }],
  ['an iv that is not canonical', { iv: (value) => `${value}=` }],
  ['no ciphertext', { ciphertext: () => '' }],
  ['half a block', { ciphertext: (value) => value.slice(0, 8) }],
  ['an hmac that is not canonical', { hmac: (value) => `${value}=` }],
  ['half an hmac', { hmac: (value) => value.slice(0, 20) }],
  ['a ninth part', { extra: '*x' }],
  ['no JSON', { plain: '{"a":' }],
])('%s is rejected even with a valid MAC', (_, form) => {
  expect(open(made(form), [PASSWORD], 0)).toBeUndefined();
});

test('a seal with missing parts is rejected without an exception', () => {
  const sealed = made();
  for (const cut of [sealed.slice(0, sealed.lastIndexOf('*')), 'Fe26.2*'])
    expect(open(`${cut}~2`, [PASSWORD], 0)).toBeUndefined();
});

test('multi-byte characters survive at any block boundary of the cipher', () => {
  for (let before = 0; before < 16; before += 1) {
    const data = { text: 'x'.repeat(before) + 'é日😀'.repeat(4) };
    expect(open(made({ plain: JSON.stringify(data) }), [PASSWORD], 0)).toEqual(data);
  }
});

test('a seal expires after its time to live and one minute of clock skew', () => {
  const sealed = made({ expiration: '1000000' });
  expect(open(sealed, [PASSWORD], 1_059_999)).toEqual({ a: 1 });
  expect(open(sealed, [PASSWORD], 1_060_000)).toBeUndefined();
  expect(open(made({ expiration: '1' }), [PASSWORD], 0)).toEqual({ a: 1 });
});

test('the caller of open() sets the maximum length of a seal', () => {
  const sealed = made();
  expect(open(sealed, [PASSWORD], 0, sealed.length)).toEqual({ a: 1 });
  expect(open(sealed, [PASSWORD], 0, sealed.length - 1)).toBeUndefined();
});

test('a seal of more than 16384 characters is not opened', async () => {
  const sealed = await seal({ pad: 'x'.repeat(11_900) }, PASSWORD);
  expect(sealed.length).toBeLessThanOrEqual(16_384);
  const room = 16_384 - made({ plain: JSON.stringify({ pad: '' }) }).length;
  const sizes = Array.from({ length: 40 }, (_, index) => Math.floor((room * 3) / 4) - 20 + index);
  const seals = sizes.map((size) => made({ plain: JSON.stringify({ pad: 'x'.repeat(size) }) }));
  expect(seals.some(({ length }) => length <= 16_384) && seals.some(({ length }) => length > 16_384)).toBe(
    true,
  );
  for (const one of seals) expect(open(one, [PASSWORD], 0) === undefined).toBe(one.length > 16_384);
});

test('isSealed() recognizes the form of a seal, whatever its password', async () => {
  const sealed = made();
  expect(isSealed(sealed)).toBe(true);
  expect(isSealed(await seal({}, 'another-password-0123456789-abcdefgh'))).toBe(true);
  for (const other of ['', 'Fe26.2*', sealed.slice(0, -2), made({ id: '2' }), made({ extra: '*x' })])
    expect(isSealed(other)).toBe(false);
  const ofLength = (length: number) => made({ ciphertext: () => 'x'.repeat(length - sealed.length + 22) });
  expect(ofLength(16_384)).toHaveLength(16_384);
  expect(isSealed(ofLength(16_384))).toBe(true);
  expect(isSealed(ofLength(16_385))).toBe(false);
});

test('a character that only shares its last byte with the right one does not open a seal', () => {
  const sealed = made();
  for (let at = 0; at < sealed.length; at += 1) {
    const twin = String.fromCharCode(sealed.charCodeAt(at) + 0x100);
    expect(open(sealed.slice(0, at) + twin + sealed.slice(at + 1), [PASSWORD], 0)).toBeUndefined();
  }
});
