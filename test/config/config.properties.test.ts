import { describe, expect, test } from 'vitest';
import { AuthKitError } from 'authkit-express';
import { resolveConfig } from '../../src/config/index.js';
import { safeReturnTo } from '../../src/http/return-to.js';
import { compileRule, type Rule, type Subject } from '../../src/auth/rule.js';
import { open, seal } from '../../src/session/seal.js';
import { openSession } from '../../src/session/sealed-session.js';
import { staysOn } from '../support/corpus-app.js';
import { fc, LONG, RUNS } from '../support/properties.js';

const PASSWORD = 'correct-horse-battery-staple-0123456789';

describe('returnTo', () => {
  const origin = 'https://app.example.com';
  const rules = { origin, origins: [], ownPaths: ['/auth/login', '/auth/callback', '/auth/logout'] };
  const piece = fc.oneof(
    fc.constantFrom(
      '/',
      '\\',
      '//',
      '.',
      '..',
      '%2f',
      '%5c',
      '%2e',
      '%09',
      '\t',
      '\n',
      '@',
      ':',
      '?',
      '#',
      ';',
      '%',
      '%25',
      'https:',
      'javascript:',
      'evil.example',
      'app.example.com',
      '／',
      '\u0000',
      '\ud800',
      '/auth/logout',
      ' ',
    ),
    fc.string({ unit: 'binary', maxLength: 4 }),
  );
  const anything = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.webUrl({ withFragments: true, withQueryParameters: true }),
    fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join('')),
    fc.array(piece, { maxLength: 8 }).map((pieces) => `/${pieces.join('')}`),
    fc.array(piece, { maxLength: 6 }).map((pieces) => origin + pieces.join('')),
  );

  test('is safe for any string, and safe once is safe again', LONG, () => {
    let kept = 0;
    fc.assert(
      fc.property(anything, (value) => {
        const safe = safeReturnTo(value, rules);
        if (safe === undefined) return;
        kept += 1;
        staysOn(origin, safe);
        expect(safeReturnTo(safe, rules)).toBe(safe);
      }),
    );
    expect(kept).toBeGreaterThan(RUNS / 20);
  });

  test('is undefined for what is no string, and never throws', LONG, () => {
    fc.assert(
      fc.property(fc.anything(), (value) => {
        if (typeof value !== 'string') expect(safeReturnTo(value, rules)).toBeUndefined();
      }),
    );
  });
});

describe('seal', () => {
  // An object, and no -0 or `__proto__`, which JSON itself does not carry over.
  const data = fc
    .dictionary(fc.string(), fc.jsonValue())
    .map((value) => JSON.parse(JSON.stringify(value)) as object);

  test('open undoes it, for any data and any position among the passwords', LONG, async () => {
    await fc.assert(
      fc.asyncProperty(data, fc.nat(3), async (value, before) => {
        const sealed = await seal(value, PASSWORD);
        const others = Array.from(
          { length: before },
          (_, index) => `${index}-another-password-0123456789abcdef`,
        );
        expect(open(sealed, [...others, PASSWORD], 0)).toEqual(value);
        expect(open(sealed, others, 0)).toBeUndefined();
        expect(sealed).toMatch(/^[\w*.~-]+$/);
      }),
    );
  });

  test('any flipped bit is nobody', LONG, async () => {
    const user = { id: 'user_1', email: 'ada@example.com' };
    const sealed = await seal({ accessToken: 'a.b.c', refreshToken: 'rt', user }, PASSWORD);
    expect(openSession(sealed, [PASSWORD], 0)?.user.id).toBe('user_1');
    fc.assert(
      fc.property(fc.nat(sealed.length - 1), fc.nat(7), (at, bit) => {
        const flipped = Buffer.from(sealed, 'latin1');
        flipped[at]! ^= 1 << bit;
        expect(openSession(flipped.toString('latin1'), [PASSWORD], 0)).toBeUndefined();
      }),
    );
  });

  test('any string is nobody, and never an exception', LONG, () => {
    const part = fc.oneof(
      fc.string(),
      fc.constantFrom('Fe26.2', '1', '', 'a'.repeat(64), 'AAAA', '0', '1e9'),
    );
    const shaped = fc
      .array(part, { minLength: 6, maxLength: 10 })
      .map((parts) => `Fe26.2*1*${parts.join('*')}~2`);
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), shaped), (value) => {
        expect(openSession(value, [PASSWORD], 0)).toBeUndefined();
      }),
    );
  });
});

describe('configuration', () => {
  const good = {
    clientId: 'client_1',
    apiKey: 'sk_1',
    redirectUri: 'https://app.example.com/callback',
    cookiePassword: PASSWORD,
  };
  const names = [
    'clientId',
    'apiKey',
    'redirectUri',
    'cookiePassword',
    'cookie',
    'apiHostname',
    'apiHttps',
    'apiPort',
    'issuer',
    'workos',
    'timeout',
    'routes',
    'returnTo',
    'returnToOrigins',
    'signIn',
    'onSuccess',
    'onError',
    'now',
    'login',
    'signUp',
    'unknown',
  ];
  const nested = fc.dictionary(
    fc.constantFrom(
      'name',
      'domain',
      'sameSite',
      'maxAge',
      'login',
      'callback',
      'logout',
      'provider',
      'key',
      'baseURL',
      '__proto__',
    ),
    fc.anything(),
  );
  const value = fc.oneof(fc.anything(), nested, fc.string(), fc.webUrl());
  const options = fc.dictionary(fc.constantFrom(...names), value, { maxKeys: 6 });
  const env = fc.dictionary(
    fc.constantFrom(
      'WORKOS_CLIENT_ID',
      'WORKOS_API_KEY',
      'WORKOS_REDIRECT_URI',
      'WORKOS_COOKIE_PASSWORD',
      'WORKOS_COOKIE_NAME',
      'WORKOS_COOKIE_MAX_AGE',
      'WORKOS_COOKIE_SAMESITE',
      'WORKOS_API_PORT',
      'WORKOS_API_HTTPS',
      'WORKOS_API_HOSTNAME',
    ),
    fc.string(),
  );

  test('never throws anything but config_invalid, whatever it is given', LONG, () => {
    const accepts = (given: unknown, variables: Record<string, string>) => {
      try {
        resolveConfig(given as typeof good, variables);
      } catch (error) {
        expect(error).toBeInstanceOf(AuthKitError);
        expect((error as AuthKitError).code).toBe('config_invalid');
      }
    };
    fc.assert(
      fc.property(fc.oneof(fc.anything(), options), options, env, (wild, some, variables) => {
        accepts(wild, variables);
        accepts({ ...good, ...some }, variables);
      }),
    );
  });
});

describe('rules', () => {
  const WORDS = ['a', 'b', 'ab', 'admin', 'a:read'];
  const word = fc.constantFrom(...WORDS);
  const words = fc.uniqueArray(word, { minLength: 1 });
  const wanted = fc.oneof(
    word,
    words,
    words.map((any) => ({ any })),
  );
  const rule: fc.Arbitrary<Rule> = fc.record(
    {
      role: wanted,
      permission: wanted,
      entitlement: wanted,
      featureFlag: wanted,
      organization: fc.oneof(fc.constant(true as const), word),
    },
    { requiredKeys: [] },
  );
  const list = fc.uniqueArray(word);
  const subject: fc.Arbitrary<Subject> = fc.record({
    organizationId: fc.option(word, { nil: undefined }),
    role: fc.option(word, { nil: undefined }),
    roles: list,
    permissions: list,
    entitlements: list,
    featureFlags: list,
    impersonator: fc.constant(undefined),
  });

  /** The same rule in other words. */
  function model(asked: Rule, who: Subject): boolean {
    const held: Record<string, readonly string[]> = {
      role: [...who.roles, ...(who.role === undefined ? [] : [who.role])],
      permission: who.permissions,
      entitlement: who.entitlements,
      featureFlag: who.featureFlags,
    };
    return Object.entries(asked).every(([key, value]) => {
      if (key === 'organization')
        return value === true ? who.organizationId !== undefined : value === who.organizationId;
      const has = new Set(held[key]);
      if (typeof value === 'string') return has.has(value);
      return Array.isArray(value)
        ? value.filter((one: string) => !has.has(one)).length === 0
        : (value as { any: string[] }).any.filter((one) => has.has(one)).length > 0;
    });
  }

  test("a guard's answer depends on nothing but the rule and who asks", LONG, () => {
    fc.assert(
      fc.property(rule, fc.array(subject, { minLength: 1, maxLength: 5 }), (asked, people) => {
        const judge = compileRule(asked);
        const expected = people.map((who) => model(asked, who));
        expect(people.map(judge)).toEqual(expected);
        // In another order, and again: nothing is remembered.
        expect([...people].reverse().map(judge).reverse()).toEqual(expected);
      }),
    );
  });
});
