import { createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { hmacSha256, keyDerivation } from '../../src/session/seal.js';

test.each([
  'x',
  'a'.repeat(32),
  'b'.repeat(63),
  'c'.repeat(64),
  'd'.repeat(65),
  'e'.repeat(500),
  'pässwörd 😀',
])('the key of password %j and a salt is PBKDF2-SHA1 with one iteration', (password) => {
  const derive = keyDerivation(password);
  for (let times = 0; times < 5; times += 1) {
    const salt = randomBytes(32).toString('hex');
    expect(derive(salt)).toEqual(pbkdf2Sync(password, salt, 1, 32, 'sha1'));
  }
});

test('keys of two passwords used in turn are not mixed up', () => {
  const [one, another] = ['one password', 'another password'];
  const [deriveOne, deriveAnother] = [keyDerivation(one), keyDerivation(another)];
  const salt = '0'.repeat(64);
  const keys = [deriveOne(salt), deriveAnother(salt), deriveOne(salt)];
  expect(keys).toEqual([one, another, one].map((password) => pbkdf2Sync(password, salt, 1, 32, 'sha1')));
});

test('the HMAC of a text is HMAC-SHA256, whatever was hashed before', () => {
  for (const length of [0, 1, 55, 56, 64, 2300, 16_384, 16_385, 100_000, 70, 0]) {
    const [key, text] = [randomBytes(32), 'Fe26.2*'.repeat(length / 7 + 1).slice(0, length)];
    expect(hmacSha256(key, text)).toBe(createHmac('sha256', key).update(text).digest('base64url'));
  }
});
