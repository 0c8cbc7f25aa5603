import { sign } from 'node:crypto';
import * as iron from 'iron-webcrypto';
import { createLocalJWKSet, jwtVerify, type JSONWebKeySet } from 'jose';
import { expect, test } from 'vitest';
import { createVerifier } from '../src/workos/access-token.js';
import { createJWKS } from '../src/workos/jwks.js';
import { open, seal } from '../src/session/iron-seal.js';
import { corpus, corpusKeys, type Row } from './support/corpora.js';
import { rsaKeyPair } from './support/rsa-keys.js';
import { sessionTokensOf } from './support/session-tokens.js';

/** Mutations of each kind. `npm run check:mutations` tries five times as many: a hundred thousand in all. */
const COUNT = Number(process.env['MUTATIONS'] ?? 10_000);
/** How many run at once, because the reference implementations spend most of their time switching threads. */
const BATCH = 64;

/** A random number generator (mulberry32) with the same sequence on every run, so failures can be reproduced. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_*.~+/= \0é';

/** Makes one or two small changes: to a character, a piece, or a field taken from `other`. */
function mutated(value: string, other: string, separator: string, random: (below: number) => number): string {
  const at = random(value.length + 1);
  const to = at + random(4);
  const char = ALPHABET[random(ALPHABET.length)]!;
  const fields = value.split(separator);
  const field = random(fields.length);
  switch (random(8)) {
    case 0:
      return value.slice(0, at) + value.slice(to);
    case 1:
      return value.slice(0, at) + char + value.slice(at);
    case 2:
      return fields.with(field, other.split(separator)[field] ?? '').join(separator);
    case 3:
      return fields.with(field, '').join(separator);
    case 4:
      return value.slice(0, at);
    case 5:
      return fields.toSpliced(field, 1).join(separator);
    case 6:
      return value + value.slice(at);
    default:
      return value.slice(0, at) + char + value.slice(at + 1);
  }
}

async function inBatches(count: number, one: (index: number) => Promise<void>): Promise<void> {
  for (let start = 0; start < count; start += BATCH) {
    const size = Math.min(BATCH, count - start);
    await Promise.all(Array.from({ length: size }, (_, index) => one(start + index)));
  }
}

const { password } = corpusKeys('seal-keys') as { password: string };

/**
 * iron reads every form of base64url, and ids other than `1`. This package accepts only the form that the SDKs write.
 */
function isCanonical(sealed: string): boolean {
  const fields = sealed.slice(0, -2).split('*');
  const binary = [fields[3], fields[4], fields[7]].map(
    (text = '') => [text, Buffer.from(text, 'base64url')] as const,
  );
  return fields[1] === '1' && binary.every(([text, bytes]) => bytes.toString('base64url') === text);
}

test(`${COUNT} mutated seals: what iron-webcrypto opens and nothing else`, async () => {
  const random = numbers(1);
  const now = Date.now();
  const rows = corpus<Row & { value: string }>('seals').map(({ value }) => value);
  for (const data of [{}, { a: 1 }, { text: 'é日本😀' }]) rows.push(await seal(data, password));
  let opened = 0;
  await inBatches(COUNT, async (index) => {
    const base = rows[index % rows.length]!;
    // Every tenth value is unchanged, so that some can be opened.
    const sealed = index % 10 === 0 ? base : mutated(base, rows[random(rows.length)]!, '*', random);
    let expected: unknown;
    if (sealed.endsWith('~2') && sealed.length <= 16_384 && isCanonical(sealed)) {
      const options = { ...iron.defaults, localtimeOffsetMsec: now - Date.now() };
      expected = await iron.unseal(sealed.slice(0, -2), { 1: password }, options).catch(() => undefined);
    }
    if (expected !== undefined) opened += 1;
    expect(open(sealed, [password], now), sealed).toEqual(expected);
  });
  expect(opened).toBeGreaterThan(COUNT / 200);
});

const { privateKey, publicKey } = rsaKeyPair(0);
const jwks = {
  keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k', alg: 'RS256', use: 'sig' }],
} as JSONWebKeySet;
const ISSUER = 'https://api.workos.com/user_management/client_1';
const NOW = Date.UTC(2026, 0, 1);

function tokenOf(header: string, payload: string): string {
  const signed = [header, payload].map((part) => Buffer.from(part).toString('base64url')).join('.');
  return `${signed}.${sign('RSA-SHA256', Buffer.from(signed), privateKey).toString('base64url')}`;
}

const HEADER = JSON.stringify({ alg: 'RS256', kid: 'k', typ: 'JWT' });
const PAYLOAD = JSON.stringify({
  iss: ISSUER,
  sub: 'user_1',
  sid: 'session_1',
  nbf: NOW / 1000 - 5,
  exp: NOW / 1000 + 60,
  note: 'é',
});

/**
 * Where this package is stricter than jose on purpose: one form of base64url, a key id, and claims that must be
 * strings.
 */
function isStrict(token: string): boolean {
  const parts = token.split('.');
  if (parts.some((part) => Buffer.from(part, 'base64url').toString('base64url') !== part)) return true;
  if (!('kid' in (JSON.parse(Buffer.from(parts[0]!, 'base64url').toString()) as object))) return true;
  const { sub, sid, client_id: client } = JSON.parse(Buffer.from(parts[1]!, 'base64url').toString()) as Row;
  return [sub, sid].some((claim) => typeof claim !== 'string' || claim === '') || client !== undefined;
}

test(`${COUNT} mutated tokens: what jose verifies and nothing else`, async () => {
  const random = numbers(2);
  const now = () => NOW;
  const keys = createJWKS({
    clientId: 'client_1',
    fetchKeys: () => Promise.resolve(jwks),
    now,
    softTimeout: 1000,
  });
  const verify = createVerifier({ issuers: [ISSUER], accepts: sessionTokensOf('client_1'), now, keys });
  const rows = [tokenOf(HEADER, PAYLOAD), tokenOf(HEADER, PAYLOAD.replace('user_1', 'user_2'))];
  rows.push(...corpus<Row & { token: string }>('jwts').map(({ token }) => token));
  const options = {
    algorithms: ['RS256'],
    issuer: ISSUER,
    currentDate: new Date(NOW),
    requiredClaims: ['exp', 'sub', 'sid'],
  };
  const local = createLocalJWKSet(jwks);
  let accepted = 0;
  await inBatches(COUNT, async (index) => {
    // Every fourth token is changed before it is signed, so that its claims decide and not its signature.
    const token =
      index % 4 === 0
        ? tokenOf(
            mutated(HEADER, HEADER, ',', random),
            random(2) ? PAYLOAD : mutated(PAYLOAD, PAYLOAD, ',', random),
          )
        : mutated(rows[random(3)]!, rows[random(rows.length)]!, '.', random);
    const expected = await jwtVerify(token, local, options).then(
      () => true,
      () => false,
    );
    const verdict = await verify(token);
    if (verdict.kind === 'valid') accepted += 1;
    if (verdict.kind === 'valid' || (expected && !isStrict(token)))
      expect(verdict.kind === 'valid', token).toBe(expected);
  });
  expect(accepted).toBeGreaterThan(COUNT / 200);
});
