import { createHmac, hkdfSync, sign, type KeyObject } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  createMacVerifier,
  createVerifier,
  macOf,
  type AccessTokenRules,
} from '../../src/workos/access-token.js';
import { createJWKS } from '../../src/workos/jwks.js';
import { createTokenMacs } from '../../src/workos/verified-token-mac.js';
import { corpus, corpusKeys, type Row } from '../support/corpora.js';
import { rsaKeyPair } from '../support/rsa-keys.js';
import { sessionTokensOf } from '../support/session-tokens.js';

const credentials = { apiKey: 'sk_live_of_this_application', clientId: 'client_1' };
const START = 1_767_225_600_000;

const genuine = rsaKeyPair(0);
const attacker = rsaKeyPair(1);
const claims = { iss: 'issuer', sub: 'user_1', sid: 'session_1', iat: START / 1000, exp: START / 1000 + 300 };

function tokenOf(
  changes: object,
  privateKey: KeyObject = genuine.privateKey,
  head: object = { kid: 'a' },
): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part({ alg: 'RS256', ...head })}.${part({ ...claims, ...changes })}`;
  return `${signed}.${sign('sha256', Buffer.from(signed), privateKey).toString('base64url')}`;
}

/** A verifier whose key set can be replaced, with its clock. */
function setUp(rules: Partial<AccessTokenRules> = {}) {
  const state = { now: START, kid: 'a', isDown: false };
  const now = () => state.now;
  const fetchKeys = () =>
    state.isDown
      ? Promise.reject(new Error('down'))
      : Promise.resolve({ keys: [{ ...genuine.publicKey.export({ format: 'jwk' }), kid: state.kid }] });
  const keys = createJWKS({ clientId: 'client_1', fetchKeys, now, softTimeout: 1000 });
  const macs = createTokenMacs(credentials);
  const all = { issuers: ['issuer'], accepts: sessionTokensOf('client_1'), now, keys, macs, ...rules };
  const [verifyAll, verifyByMac] = [createVerifier(all), createMacVerifier(all)];
  /** Verifies in both ways. Without waiting, the MAC either leaves the result open or gives the same result. */
  const verify = async (text: string, isTrusted?: boolean, given?: string) => {
    const decided = verifyByMac(text, given);
    const verification = await verifyAll(text, isTrusted, given);
    if (decided)
      expect({ mac: macOf(verification), ...decided }).toEqual({ mac: undefined, ...verification });
    return verification;
  };
  return { state, verify, verifyByMac, verifyAll };
}

const token = tokenOf({});
const forged = tokenOf({}, attacker.privateKey);

/** Created in each test, so that each one runs the code that creates the MAC. */
const createMac = (text: string, kid = 'a', changes = {}) =>
  createTokenMacs({ ...credentials, ...changes }).create(text, kid)!;

describe('the MAC of an access token', () => {
  test('is 128 bits of HMAC-SHA-256, under a key of HKDF, over the token and its key id', () => {
    const { apiKey, clientId } = credentials;
    const purpose = 'authkit-express access token verified v1';
    const key = Buffer.from(hkdfSync('sha256', apiKey, clientId, purpose, 32));
    const whole = createHmac('sha256', key).update(`${token}\0a`).digest();
    const macs = createTokenMacs(credentials);
    const mac = macs.create(token, 'a')!;
    expect(mac).toBe(whole.subarray(0, 16).toString('base64url'));
    expect(mac).toHaveLength(22);
    expect(macs.isValid(mac, token, 'a')).toBe(true);
  });

  test.each<[string, (mac: string) => string, string, string | undefined]>([
    ['another token', (mac) => mac, tokenOf({ sub: 'user_2' }), 'a'],
    ['another key id', (mac) => mac, token, 'b'],
    ['no key id', (mac) => mac, token, undefined],
    ['its last byte cut off', (mac) => mac.slice(0, -1), token, 'a'],
    ['something behind', (mac) => `${mac}A`, token, 'a'],
    ['padding behind', (mac) => `${mac}==`, token, 'a'],
    ['nothing', () => '', token, 'a'],
    ['a text of the same length', () => 'A'.repeat(22), token, 'a'],
  ])('is not valid with %s', (_, change, ofToken, kid) => {
    const macs = createTokenMacs(credentials);
    expect(macs.isValid(change(macs.create(token, 'a')!), ofToken, kid)).toBe(false);
  });

  test('is not valid for the text "undefined" in place of a key id', () => {
    const macs = createTokenMacs(credentials);
    expect(macs.isValid(macs.create(token, 'undefined')!, token, undefined)).toBe(false);
  });

  test('is not valid with any bit flipped, nor with a character that shares its last byte', () => {
    const macs = createTokenMacs(credentials);
    const mac = macs.create(token, 'a')!;
    for (let at = 0; at < mac.length; at += 1) {
      const code = mac.charCodeAt(at);
      for (const bit of [1, 2, 4, 8, 16, 32, 64, 0x100]) {
        const given = mac.slice(0, at) + String.fromCharCode(code ^ bit) + mac.slice(at + 1);
        expect(macs.isValid(given, token, 'a'), `${at} ${bit}`).toBe(false);
      }
    }
  });

  test('is not valid under another API key or for another client', () => {
    const mac = createMac(token);
    for (const changed of [{ apiKey: 'sk_other' }, { clientId: 'client_2' }]) {
      const others = createTokenMacs({ ...credentials, ...changed });
      expect(others.create(token, 'a')).toMatch(/^[\w-]{22}$/);
      expect(others.create(token, 'a')).not.toBe(mac);
      expect(others.isValid(mac, token, 'a')).toBe(false);
    }
  });

  test('does not exist for a token without a key id', () => {
    expect(createTokenMacs(credentials).create(token, undefined)).toBeUndefined();
  });
});

describe('verification with a MAC', () => {
  test('returns the MAC of a token whose signature it has checked, and of no other token', async () => {
    const mac = createMac(token);
    const { verify } = setUp();
    expect(await verify(token)).toMatchObject({ kind: 'valid', mac });
    expect(await verify(token, false, mac)).toMatchObject({ kind: 'valid', mac });
    expect(await verify(token, false, 'wrong')).toMatchObject({ kind: 'valid', mac });
    expect(await verify(forged)).toEqual({ kind: 'invalid', reason: 'signature' });
    expect(await verify(tokenOf({ exp: 1 }))).toEqual({ kind: 'expired' });
  });

  test('a valid MAC stands for the signature: the owner of the API key has made it', async () => {
    const ofForged = createMac(forged);
    const { verify } = setUp();
    expect(await verify(forged, false, ofForged)).toMatchObject({ kind: 'valid', mac: ofForged, claims });
  });

  test.each<[string, () => string | undefined]>([
    ['without a MAC', () => undefined],
    ['with an empty MAC', () => ''],
    ['with the MAC of a genuine token', () => createMac(token)],
    ['with a MAC under another API key', () => createMac(forged, 'a', { apiKey: 'x' })],
    ['with a MAC of another client', () => createMac(forged, 'a', { clientId: 'x' })],
    ['with a truncated MAC', () => createMac(forged).slice(0, 11)],
  ])('T60 a forged token is refused %s', async (_, given) => {
    const { verify, verifyAll } = setUp();
    await verifyAll(token);
    expect(await verify(forged, false, given())).toEqual({ kind: 'invalid', reason: 'signature' });
  });

  test('decides without waiting once the keys are there, and only with a valid MAC', async () => {
    const ofForged = createMac(forged);
    const mac = createMac(token);
    const { state, verifyByMac, verifyAll } = setUp();
    expect(verifyByMac(token, mac)).toBeUndefined();
    await verifyAll(token);
    expect(verifyByMac(token, mac)).toEqual({ kind: 'valid', claims });
    expect(verifyByMac(forged, ofForged)).toEqual({ kind: 'valid', claims });
    for (const given of [undefined, '', 'wrong', mac.slice(1), ofForged])
      expect(verifyByMac(token, given), given).toBeUndefined();
    for (const text of ['', 'a.b', 'a.b.c', `${token}.d`, `${token}=`])
      expect(verifyByMac(text, createMac(text)), text).toBeUndefined();
    const nameless = tokenOf({}, genuine.privateKey, {});
    const ofUnknown = tokenOf({}, genuine.privateKey, { kid: 'b' });
    expect(verifyByMac(nameless, createMac(nameless, 'undefined'))).toBeUndefined();
    expect(verifyByMac(ofUnknown, createMac(ofUnknown, 'b'))).toBeUndefined();
    state.now += 300_000;
    expect(verifyByMac(token, mac)).toEqual({ kind: 'expired' });
    state.now = START + 600_000;
    expect(verifyByMac(token, mac)).toBeUndefined();
  });

  test('a verifier without MACs believes none and returns none', async () => {
    const ofForged = createMac(forged);
    const mac = createMac(token);
    const { verify } = setUp({ macs: undefined as never });
    expect(await verify(forged, false, ofForged)).toEqual({ kind: 'invalid', reason: 'signature' });
    expect(await verify(token, false, mac)).toEqual({ kind: 'valid', claims });
  });

  test.each<[string, object, object]>([
    ['another issuer', { iss: 'other' }, { kind: 'invalid', reason: 'issuer' }],
    ['another client', { client_id: 'client_2' }, { kind: 'invalid', reason: 'client_id' }],
    ['another audience', { aud: 'other' }, { kind: 'invalid', reason: 'aud' }],
    ['no user', { sub: '' }, { kind: 'invalid', reason: 'sub' }],
    ['no session', { sid: undefined }, { kind: 'invalid', reason: 'sid' }],
    ['a time that has not come', { nbf: START / 1000 + 3600 }, { kind: 'invalid', reason: 'nbf' }],
    ['a time that is over', { exp: START / 1000 }, { kind: 'expired' }],
  ])('T60 a valid MAC does not help a token with %s', async (_, changes, expected) => {
    const { verify } = setUp();
    const wrong = tokenOf(changes);
    expect(await verify(wrong, false, createMac(wrong))).toEqual(expected);
  });

  test.each(['none', 'HS256', 'RS384', 'ES256'])(
    'T60 a valid MAC does not help a token of %s',
    async (alg) => {
      const { verify } = setUp();
      const wrong = tokenOf({}, genuine.privateKey, { alg, kid: 'a' });
      expect((await verify(wrong, false, createMac(wrong))).kind).toBe('invalid');
    },
  );

  test('T60 a MAC is not believed once the key of its token is not published any more', async () => {
    const ofForged = createMac(forged);
    const { state, verify } = setUp();
    expect((await verify(forged, false, ofForged)).kind).toBe('valid');
    state.kid = 'b';
    state.now += 601_000;
    const later = tokenOf({ exp: START / 1000 + 86_400 }, attacker.privateKey);
    expect((await verify(later, false, createMac(later))).kind).toBe('expired');
  });

  test('T60 a MAC is not believed while the key set is old, and the signature is checked instead', async () => {
    const { state, verify } = setUp();
    await verify(token);
    state.isDown = true;
    const lasting = { exp: START / 1000 + 86_400 };
    const [good, bad] = [tokenOf(lasting), tokenOf(lasting, attacker.privateKey)];
    for (const [elapsed, kind] of [
      [599_999, 'valid'],
      [600_000, 'invalid'],
    ] as const) {
      state.now = START + elapsed;
      expect((await verify(bad, false, createMac(bad))).kind).toBe(kind);
      expect((await verify(good, false, createMac(good))).kind).toBe('valid');
    }
  });

  test('a token without a key id is verified in full every time', async () => {
    const { verify } = setUp();
    const nameless = tokenOf({}, genuine.privateKey, {});
    expect(await verify(nameless)).toEqual({ kind: 'valid', claims });
    const unsigned = tokenOf({}, attacker.privateKey, {});
    for (const kid of ['', 'undefined', 'a'])
      expect((await verify(unsigned, false, createMac(unsigned, kid))).kind).toBe('invalid');
  });
});

interface TokenRow extends Row {
  token: string;
}

test('a token of the corpus with a MAC of a wrong kind is verified as it is without one', async () => {
  const keys = corpusKeys('jwt-keys') as { now: number; issuer: string; clientId: string; jwks: object };
  const now = () => keys.now * 1000;
  const rows = corpus<TokenRow>('jwts');
  const macs = createTokenMacs(credentials);
  const mac = createMac(token);
  const others = createTokenMacs({ ...credentials, apiKey: 'sk_other' });
  const verifier = () =>
    createVerifier({
      issuers: [keys.issuer],
      accepts: sessionTokensOf(keys.clientId),
      now,
      keys: createJWKS({
        clientId: 'client_1',
        fetchKeys: () => Promise.resolve(keys.jwks),
        now,
        softTimeout: 1000,
      }),
      macs,
    });
  const kidOf = (text: string) => {
    try {
      return (JSON.parse(Buffer.from(text.split('.')[0]!, 'base64url').toString()) as { kid: string }).kid;
    } catch {
      return 'a';
    }
  };
  const [first] = rows as [TokenRow];
  const moved = macs.create(first.token, kidOf(first.token))!;
  for (const row of rows) {
    const kid = kidOf(row.token);
    const own = macs.create(row.token, kid) ?? mac;
    const plain = await verifier()(row.token);
    const wrong = [mac, others.create(row.token, kid), own.slice(1), `${own}=`];
    for (const given of row === first ? wrong : [...wrong, moved])
      expect(await verifier()(row.token, false, given), row.id).toEqual(plain);
    // A valid MAC replaces the signature check and nothing else.
    const believed = await verifier()(row.token, false, own);
    const isOnlyUnsigned = plain.kind === 'invalid' && plain.reason === 'signature';
    if (!isOnlyUnsigned) expect(believed, row.id).toEqual(plain);
  }
});
