import type { IncomingMessage } from 'node:http';
import type { User } from '@workos-inc/node';
import { describe, expect, test } from 'vitest';
import { bearerTokenOf, createBearerVerifiers } from '../../src/auth/bearer-token.js';
import type { AuthType } from '../../src/auth/principal.js';
import type { RevocationStatus } from '../../src/session/revocation.js';
import { AuthKitError, unavailable } from '../../src/errors.js';
import type { TokenVerification } from '../../src/workos/access-token.js';
import type { ApiResult, WorkOSClient } from '../../src/workos/api-client.js';

describe('the bearer token of a request (RFC 6750 section 2.1)', () => {
  const LONGEST = 16_384;
  test.each<[authorization: string | undefined, token: string | undefined]>([
    [undefined, undefined],
    ['', undefined],
    ['Basic c3RhZ2luZw==', undefined],
    ['Basic bearer a.b.c', undefined],
    ['xBearer a.b.c', undefined],
    ['Bearerx a.b.c', undefined],
    ['Bearera.b.c', undefined],
    ['Bearer', ''],
    ['Bearer ', ''],
    ['Bearer   ', ''],
    ['Bearer a.b.c', 'a.b.c'],
    ['bearer a.b.c', 'a.b.c'],
    ['BEARER   a.b.c   ', 'a.b.c'],
    ['Bearer Az09._~+/-', 'Az09._~+/-'],
    ['Bearer a==', 'a=='],
    ['Bearer ==', ''],
    ['Bearer a=b', ''],
    ['Bearer a b', ''],
    ['Bearer a,b', ''],
    ['Bearer \ta', ''],
    ['Bearer é', ''],
    ['Bearer x bearer a.b.c', ''],
    [`Bearer ${'x'.repeat(LONGEST - 7)}`, 'x'.repeat(LONGEST - 7)],
    [`Bearer ${'x'.repeat(LONGEST - 6)}`, ''],
  ])('of Authorization: %s', (authorization, token) => {
    const headers = authorization === undefined ? {} : { authorization };
    expect(bearerTokenOf({ headers } as unknown as IncomingMessage)).toBe(token);
  });
});

const NOW = 1_700_000_000_000;
const TOKEN = 'head.body.signature';
const KEY = 'sk_123456';
const CLAIMS = { iss: 'i', sub: 'user_1', sid: 'session_1', exp: NOW / 1000 + 300 };
const USER = { id: 'user_1', email: 'ada@example.com' } as User;

interface Case {
  verification?: TokenVerification;
  status?: RevocationStatus | Promise<RevocationStatus>;
  answer?: ApiResult<unknown>;
}

/** Verifiers with WorkOS replaced by one answer, and what they have asked WorkOS for. */
function setUp({ verification, status = 'active', answer }: Case = {}) {
  const asked: string[] = [];
  const call = (name: string) => () => {
    asked.push(name);
    return Promise.resolve(answer ?? { kind: 'ok', value: USER });
  };
  const { forSessions, forSignOut } = createBearerVerifiers({
    clientId: 'client_1',
    verify: () => Promise.resolve(verification ?? { kind: 'valid', claims: CLAIMS }),
    workos: { call: call('user'), callForAnonymous: call('apiKey') } as unknown as WorkOSClient,
    statusOf: () => status,
    changedAt: () => 0,
    now: () => NOW,
    softTimeout: 1000,
  });
  const verify = (token: string, ...accepts: AuthType[]) => forSessions(token, new Set(accepts));
  return { verify, asked, forSignOut };
}

test.each<[token: string, accepts: AuthType[], reason: string]>([
  ['', ['bearer', 'apiKey'], 'malformed'],
  ['abc', ['bearer'], 'not an access token'],
  [KEY, ['bearer', 'machine', 'session'], 'not an access token'],
  ['abc', ['apiKey'], 'not an API key'],
  ['sk_12345', ['apiKey'], 'not an API key'],
  ['sk_12345+', ['apiKey'], 'not an API key'],
  ['xsk_123456', ['apiKey'], 'not an API key'],
  ['sk_123456~', ['apiKey'], 'not an API key'],
  [`sk_${'x'.repeat(254)}`, ['apiKey'], 'not an API key'],
  [TOKEN, ['apiKey'], 'access tokens are not accepted here'],
  [TOKEN, ['session'], 'access tokens are not accepted here'],
])('the token "%s" is refused without a call to WorkOS if %j is accepted: %s', (token, accepts, reason) => {
  const { verify, asked } = setUp();
  expect(verify(token, ...accepts)).toEqual({ kind: 'refused', reason });
  expect(asked).toEqual([]);
});

test.each<[Case, AuthType, reason: string, asked: string[]]>([
  [{ verification: { kind: 'expired' } }, 'bearer', 'expired', []],
  [{ verification: { kind: 'invalid', reason: 'issuer' } }, 'bearer', 'issuer', []],
  [{}, 'machine', 'bearer tokens are not accepted here', []],
  [
    { verification: { kind: 'valid', claims: { ...CLAIMS, sub: 'client_1' } } },
    'bearer',
    'machine tokens are not accepted here',
    [],
  ],
  [{ status: 'revoked' }, 'bearer', 'signed out', []],
  [{ status: Promise.resolve('revoked') }, 'bearer', 'signed out', []],
  [{ status: 'changed' }, 'bearer', 'issued before the user changed', []],
  [{ status: Promise.resolve('changed') }, 'bearer', 'issued before the user changed', []],
  [
    { answer: { kind: 'refused', error: new AuthKitError('unauthenticated', 'gone') } },
    'bearer',
    'unknown to WorkOS',
    ['user'],
  ],
])('a token whose verification is %j, at a guard for %s: %s', async (given, accepts, reason, calls) => {
  const { verify, asked } = setUp(given);
  expect(await verify(TOKEN, accepts)).toEqual({ kind: 'refused', reason });
  expect(asked).toEqual(calls);
});

test('for a sign-out, a token from before a change of its user is accepted, but not a token of an ended session', async () => {
  const accepts = new Set<AuthType>(['bearer']);
  expect(await setUp({ status: 'changed' }).forSignOut(TOKEN, accepts)).toMatchObject({ kind: 'ok' });
  const ended = await setUp({ status: 'revoked' }).forSignOut(TOKEN, accepts);
  expect(ended).toEqual({ kind: 'refused', reason: 'signed out' });
});

test('without keys a token is not refused: the result is unavailable, with the time after which to try again', async () => {
  const resultOf = async (verification: TokenVerification) => {
    const result = await setUp({ verification }).verify(TOKEN, 'bearer');
    if (result.kind !== 'unavailable') return result;
    return [result.error.code, result.error.message, result.error.headers['Retry-After']];
  };
  expect(await resultOf({ kind: 'unavailable' })).toEqual([
    'upstream_unavailable',
    'the keys of the issuer are unavailable',
    '5',
  ]);
  expect(await resultOf({ kind: 'unavailable', isKeyUnknown: true, retryAfter: 20 })).toEqual([
    'upstream_unavailable',
    'the key of the token is not in the key set, which cannot be fetched again yet',
    '20',
  ]);
});

test('an outage of WorkOS makes the user of a token and an API key unavailable', async () => {
  const answer = { kind: 'unavailable', error: unavailable('down') } as const;
  const { verify, asked } = setUp({ answer });
  expect(await verify(TOKEN, 'bearer')).toBe(answer);
  expect(await verify(KEY, 'apiKey')).toBe(answer);
  expect(asked).toEqual(['user', 'apiKey']);
});

test.each([KEY, `sk_${'x'.repeat(253)}`, 'sk_Az-_09'])(
  'the API key %s is validated by WorkOS',
  async (key) => {
    const apiKey = { id: 'api_key_1', owner: { type: 'organization', id: 'org_1' }, permissions: ['a'] };
    const { verify, asked } = setUp({ answer: { kind: 'ok', value: { apiKey } } });
    const expected = { kind: 'ok', principal: { type: 'apiKey', organizationId: 'org_1' } };
    expect(await verify(key, 'apiKey', 'bearer')).toMatchObject(expected);
    // It is known now, so there is nothing to wait for.
    expect(verify(key, 'apiKey')).toMatchObject(expected);
    expect(asked).toEqual(['apiKey']);
  },
);

test('the second request with a token is authenticated without waiting, unless a store has to be asked', async () => {
  const { verify, asked } = setUp();
  const expected = { kind: 'ok', principal: { type: 'bearer', user: USER, sessionId: 'session_1' } };
  expect(verify(TOKEN, 'bearer')).toBeInstanceOf(Promise);
  expect(await verify(TOKEN, 'bearer', 'session')).toMatchObject(expected);
  expect(verify(TOKEN, 'bearer')).toMatchObject(expected);
  expect(asked).toEqual(['user']);
  const shared = setUp({ status: Promise.resolve('active') });
  await shared.verify(TOKEN, 'bearer');
  const pending = shared.verify(TOKEN, 'bearer');
  expect(pending).toBeInstanceOf(Promise);
  expect(await pending).toMatchObject(expected);
});

test('the token of a machine has no user, and WorkOS is not called', async () => {
  const claims = { ...CLAIMS, sub: 'client_machine' };
  const { verify, asked } = setUp({ verification: { kind: 'valid', claims } });
  expect(await verify(TOKEN, 'machine')).toMatchObject({
    kind: 'ok',
    principal: { type: 'machine', user: null, clientId: 'client_machine' },
  });
  // Only the beginning of the subject counts.
  const user = { ...CLAIMS, sub: 'user_client_1' };
  const other = setUp({ verification: { kind: 'valid', claims: user } });
  expect(await other.verify(TOKEN, 'bearer')).toMatchObject({ principal: { type: 'bearer' } });
  expect(asked).toEqual([]);
});
