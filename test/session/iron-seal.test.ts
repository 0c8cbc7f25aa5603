import * as iron from 'iron-webcrypto';
import { describe, expect, test } from 'vitest';
import { open, seal } from '../../src/session/iron-seal.js';
import { openSession } from '../../src/session/sealed-session.js';
import { corpus, corpusKeys, type Row } from '../support/corpora.js';

const keys = corpusKeys('seal-keys') as Record<'password' | 'previousPassword' | 'attackerPassword', string>;
const now = Date.now();

/** Longer than any Cookie header, so it is rejected before it is parsed. */
const LIMIT = 16_384;

interface SealRow extends Row {
  name: string;
  value: string;
  expect: string;
}

/** What iron-webcrypto, the reference implementation, reads from the same seal. */
async function reference(sealed: string, password: string): Promise<unknown> {
  if (!sealed.endsWith('~2') || sealed.length > LIMIT) return undefined;
  try {
    return await iron.unseal(sealed.slice(0, -2), { 1: password }, iron.defaults);
  } catch {
    return undefined;
  }
}

describe('seals of the corpus', () => {
  test.each(corpus<SealRow>('seals'))('$id $name: $expect', async (row) => {
    const opened = openSession(row.value, [keys.password], now);
    if (row.expect === 'unseals') expect(opened?.accessToken).toBeTypeOf('string');
    // An authentic session with one key more is one, as far as its seal goes; its token is junk like the control's.
    else if (row.name === 'payload extra') expect(Object.keys(opened!)).not.toContain('extra');
    else if (row.expect !== 'unseals-or-no-session') expect(opened).toBeUndefined();
    if (row.expect.startsWith('unseals-iff')) {
      const rotated = openSession(row.value, [keys.password, keys.previousPassword], now);
      expect(rotated?.accessToken).toBeTypeOf('string');
    }
    expect(open(row.value, [keys.password], now)).toEqual(await reference(row.value, keys.password));
  });

  test.each(corpus<SealRow>('seal-bitflips'))('$id does not open', (row) => {
    expect(open(row.value, [keys.password, keys.previousPassword], now)).toBeUndefined();
  });
});

describe('seal and open', () => {
  test('are inverse for any data', async () => {
    for (const data of [{}, { a: 1, b: [null, 'é日本😀'] }, { long: 'x'.repeat(8000) }]) {
      const sealed = await seal(data, keys.password);
      expect(open(sealed, [keys.password], now)).toEqual(data);
      expect(await reference(sealed, keys.password)).toEqual(data);
    }
  });

  test('every password is tried, and only the right one opens', async () => {
    const sealed = await seal({ a: 1 }, keys.previousPassword);
    expect(open(sealed, [keys.password, keys.previousPassword], now)).toEqual({ a: 1 });
    expect(open(sealed, [keys.password, keys.attackerPassword], now)).toBeUndefined();
    expect(open(sealed, [], now)).toBeUndefined();
  });

  test('a seal of iron-webcrypto with a time to live opens until it expires', async () => {
    const options = { ...iron.defaults, ttl: 1000, localtimeOffsetMsec: 0 };
    const sealed = await iron.seal({ a: 1 }, { id: '1', secret: keys.password }, options);
    expect(open(`${sealed}~2`, [keys.password], now)).toEqual({ a: 1 });
    expect(open(`${sealed}~2`, [keys.password], now + 3_600_000)).toBeUndefined();
  });

  test('no flipped bit of a seal survives', async () => {
    const sealed = await seal({ a: 1 }, keys.password);
    for (let index = 0; index < sealed.length; index += 1) {
      for (const bit of [1, 2, 4, 8, 16, 32, 64]) {
        const char = String.fromCharCode(sealed.charCodeAt(index) ^ bit);
        const flipped = sealed.slice(0, index) + char + sealed.slice(index + 1);
        expect(open(flipped, [keys.password], now), `${index}:${bit}`).toBeUndefined();
      }
    }
  });
});
