import { expect, test } from 'vitest';
import { open, seal } from '../../src/session/iron-seal.js';
import {
  sessionIdentityIn,
  sessionIdentityOf,
  openSession,
  problemOfSealed,
  withTokens,
  sealSession,
  sessionIdOf,
  toSession,
} from '../../src/session/sealed-session.js';

const PASSWORD = 'correct-horse-battery-staple-0123456789';
const user = { object: 'user', id: 'user_1', email: 'ada@example.com' } as never;
const token = (claims: object) => `x.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.x`;
const tokens = { accessToken: token({ sid: 'session_1' }), refreshToken: 'rt_1', user };
const full = {
  ...tokens,
  impersonator: { email: 'boss@example.com', reason: null },
  authenticationMethod: 'SSO',
  organizationId: 'org_1',
};

async function again(payload: object) {
  return openSession(await seal(payload, PASSWORD), [PASSWORD], 0);
}

test('a session keeps its fields through sealing, and no others', async () => {
  const extension = { authenticatedAt: 5, data: { plan: 'pro' } };
  const session = toSession({ ...full, oauthTokens: 'secret' } as never, extension);
  expect(session).toEqual({ ...full, extension });
  expect(openSession(await sealSession(session, PASSWORD), [PASSWORD], 0)).toEqual(session);
  const bare = toSession(tokens, {});
  expect(Object.keys(bare).sort()).toEqual(['accessToken', 'extension', 'refreshToken', 'user']);
  const reopened = openSession(await sealSession(bare, PASSWORD), [PASSWORD], 0)!;
  expect(reopened).toEqual(bare);
  expect(Object.keys(reopened.extension)).toEqual([]);
});

test('the six fields are sealed as the WorkOS SDKs read them, with additions under a key of their own', async () => {
  const sealed = await sealSession(toSession(full, { authenticatedAt: 5 }), PASSWORD);
  expect(open(sealed, [PASSWORD], 0)).toEqual({
    ...full,
    authkitExpress: { purpose: 'session', version: 1, authenticatedAt: 5 },
  });
});

test('a refresh keeps impersonator and authentication method, and takes the new tokens', () => {
  const before = toSession(full, { authenticatedAt: 5 });
  const after = withTokens(before, { ...tokens, refreshToken: 'rt_2', organizationId: 'org_2' });
  expect(after).toEqual({
    ...full,
    refreshToken: 'rt_2',
    organizationId: 'org_2',
    extension: { authenticatedAt: 5 },
  });
  expect(withTokens(before, { ...tokens, authenticationMethod: 'Password' })).toMatchObject({
    authenticationMethod: 'Password',
  });
});

test.each([
  ['nothing', {}],
  ['no access token', { ...tokens, accessToken: undefined }],
  ['an empty access token', { ...tokens, accessToken: '' }],
  ['an access token that is no text', { ...tokens, accessToken: 1 }],
  ['no refresh token', { ...tokens, refreshToken: undefined }],
  ['an empty refresh token', { ...tokens, refreshToken: '' }],
  ['no user', { ...tokens, user: null }],
  ['a user that is a list', { ...tokens, user: [user] }],
  ['a user without an id', { ...tokens, user: {} }],
  ['a user whose id is a number', { ...tokens, user: { id: 1 } }],
  ['a purpose', { ...tokens, purpose: 'transaction' }],
  ['another purpose under our key', { ...tokens, authkitExpress: { purpose: 'transaction' } }],
])('%s is not a session', async (_, payload) => {
  expect(await again(payload)).toBeUndefined();
});

test.each([null, 1, 'text', [], true])('%j is not a session', async (payload) => {
  expect(await again(payload as unknown as object)).toBeUndefined();
});

test('optional fields of the wrong type are left out', async () => {
  const odd = {
    impersonator: 'x',
    authenticationMethod: 5,
    organizationId: '',
    authkitExpress: { purpose: 'session', authenticatedAt: 'x' },
  };
  expect(await again({ ...tokens, ...odd })).toEqual({ ...tokens, extension: {} });
  expect(await again({ ...tokens, authkitExpress: null })).toEqual({ ...tokens, extension: {} });
  expect(await again({ ...tokens, authkitExpress: { data: 0 } })).toEqual({
    ...tokens,
    extension: { data: 0 },
  });
  expect(await again({ ...tokens, impersonator: [] })).toEqual({ ...tokens, extension: {} });
});

test('the session id is the sid of the access token', () => {
  expect(sessionIdOf(toSession(tokens, {}))).toBe('session_1');
  for (const accessToken of ['', 'x', 'x.y.z', token({}), token({ sid: '' }), token({ sid: 1 })])
    expect(sessionIdOf(toSession({ ...tokens, accessToken }, {}))).toBeUndefined();
});

test('the identity of a session is its id, its user and the time its token was issued', () => {
  const accessToken = token({ sid: 'session_1', sub: 'user_of_the_token', iat: 5 });
  const identity = { sessionId: 'session_1', userId: 'user_1', issuedAt: 5 };
  expect(sessionIdentityOf(toSession({ ...tokens, accessToken }, {}))).toEqual(identity);
  expect(sessionIdentityIn({ sid: 'session_1', sub: 'user_1', iat: 5 })).toEqual(identity);
  const nobody = { sessionId: undefined, userId: '', issuedAt: 0 };
  for (const claims of [{}, { sid: 1, sub: 1, iat: '5' }, { sid: '', sub: '' }])
    expect(sessionIdentityIn(claims)).toEqual(nobody);
});

test('fields of a later version are kept, and those of another version are not', async () => {
  const fields = { purpose: 'session', data: 1, added: { by: 'a later release' } };
  const extensionOf = async (version: unknown) =>
    (await again({ ...tokens, authkitExpress: { ...fields, version } }))?.extension;
  const later = { version: 2, data: 1, added: { by: 'a later release' } };
  expect(await extensionOf(2)).toEqual(later);
  for (const version of [1, 0, '2', null, undefined, [2]])
    expect(await extensionOf(version)).toEqual({ data: 1 });
  const reopened = openSession(await sealSession(toSession(tokens, later), PASSWORD), [PASSWORD], 0);
  expect(reopened?.extension).toEqual(later);
});

test('the MAC of the access token is kept in the session if it is text', async () => {
  const extensionOf = async (tokenMac: unknown) =>
    (await again({ ...tokens, authkitExpress: { tokenMac } }))?.extension;
  expect(await extensionOf('bWFj')).toEqual({ tokenMac: 'bWFj' });
  for (const tokenMac of ['', 1, null]) expect(await extensionOf(tokenMac)).toEqual({});
});

test('a value that is not a session has the wrong format, password or content', async () => {
  const problemOf = (sealed: string, passwords: readonly string[] = [PASSWORD]) =>
    problemOfSealed(sealed, passwords, 0);
  for (const value of ['', 'junk', 'Fe26.2*1*x~2']) expect(problemOf(value)).toBe('format');
  const sealed = await seal({ not: 'a session' }, PASSWORD);
  expect(problemOf(sealed)).toBe('content');
  expect(problemOf(sealed, ['another-password-0123456789-abcdefgh'])).toBe('password');
});
