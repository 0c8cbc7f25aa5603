import { describe, expect, test } from 'vitest';
import { protectedResource } from 'authkit-express';
import { GOOD, GOOD_SSO, problemsOf, ssoProblemsOf } from './problem-of.js';

class Getters {
  get sameSite() {
    return 'strict';
  }
}

/** Objects that look like options in code, but have no properties that could be read. */
const EMPTY: [string, () => unknown][] = [
  ['a promise', () => Promise.resolve({ name: '__Host-session', organizationId: 'org_1' })],
  ['a Map', () => new Map([['name', '__Host-session']])],
  ['a Set', () => new Set(['name'])],
  ['an object with getters only', () => new Getters()],
  ['an object with inherited properties only', () => Object.create({ name: '__Host-session' }) as object],
  ['a date', () => new Date(0)],
];

describe('T66 an object that holds no options is refused, not read as if it were empty', () => {
  test.each(EMPTY)('%s', (_, make) => {
    for (const option of ['cookie', 'routes', 'signIn', 'signUp', 'sessionMemory', 'pages'])
      expect(problemsOf({ ...GOOD, [option]: make() }), option).toEqual([
        expect.stringMatching(new RegExp(`^${option} must be `)),
      ]);
    for (const option of ['cookie', 'routes', 'signIn', 'pages'])
      expect(ssoProblemsOf({ ...GOOD_SSO, [option]: make() }), option).toEqual([
        expect.stringMatching(new RegExp(`^${option} must be `)),
      ]);
    expect(problemsOf({ ...GOOD, pages: { texts: make() } })).toHaveLength(1);
    expect(problemsOf(make() as object)).toEqual([expect.stringContaining('authkit()')]);
  });

  test('plain objects, objects without a prototype and objects of a class with fields are options', () => {
    class Cookie {
      name = 'session';
    }
    const without = Object.assign(Object.create(null) as object, { name: 'session' });
    for (const cookie of [{}, { name: 'session' }, without, new Cookie(), Object.create(null) as object])
      expect(problemsOf({ ...GOOD, cookie })).toEqual([]);
  });
});

test('T66 a list with holes is refused', () => {
  for (const option of ['loginParams', 'providers', 'clientRedirectUris'])
    expect(problemsOf({ ...GOOD, [option]: new Array(2) }), option).toEqual([
      `${option} must be a list of strings`,
    ]);
  for (const option of ['roles', 'metadata'])
    expect(problemsOf({ ...GOOD, signUp: { [option]: new Array(2) } }), option).toEqual([
      `signUp.${option} must be a list of strings`,
    ]);
});

test('T66 a list with holes is refused by protectedResource(): a token without aud would be accepted', () => {
  const authorizationServers = ['https://example.authkit.app'];
  const good = { resource: 'https://api.example.com/mcp', authorizationServers };
  const holes = ['a'];
  holes[2] = 'b';
  for (const [option, list] of Object.entries({
    audience: holes,
    scopes: holes,
    authorizationServers: [...authorizationServers].concat(new Array<string>(1)),
  }))
    expect(() => protectedResource({ ...good, [option]: list }), option).toThrow(`- ${option} must`);
  expect(() => protectedResource({ ...good, audience: new Array<string>(1) })).toThrow('- audience must');
});

test.each([
  ['a promise', () => Promise.resolve(Date.now())],
  ['NaN', () => Number.NaN],
  ['text', () => String(Date.now())],
  ['a bigint', () => BigInt(Date.now())],
  ['nothing', () => undefined],
  ['seconds', () => Date.now() / 1000],
])('T66 a clock that returns %s is refused: tokens would not expire', (_, now) => {
  const expected = [expect.stringMatching(/^now must return the time in milliseconds since the epoch/)];
  expect(problemsOf({ ...GOOD, now })).toEqual(expected);
  expect(ssoProblemsOf({ ...GOOD_SSO, now })).toEqual(expected);
});

test('a clock that a test has set to the beginning of the epoch, or that is not ready yet, is accepted', () => {
  const notReady = () => {
    throw new Error('the clock is not ready');
  };
  for (const now of [() => 0, () => 1_700_000_000_000.5, notReady])
    expect(problemsOf({ ...GOOD, now })).toEqual([]);
});
