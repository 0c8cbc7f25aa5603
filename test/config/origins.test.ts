import { describe, expect, test } from 'vitest';
import { resolveConfig } from '../../src/config/index.js';
import { resolveSSOConfig } from '../../src/config/resolve-sso-config.js';

const good = {
  clientId: 'client_01TEST',
  apiKey: 'sk_test_secret',
  redirectUri: 'https://app.example.com/callback',
  cookiePassword: 'correct-horse-battery-staple-0123456789',
};

describe.each(['trustedOrigins', 'returnToOrigins'] as const)('%s', (name) => {
  test('takes origins in the form in which browsers send them', () => {
    for (const origin of ['https://admin.example.com', 'http://localhost:5173', 'https://a.example:8443']) {
      expect(() => resolveConfig({ ...good, [name]: [origin] }, {}), origin).not.toThrow();
    }
  });

  test.each([
    'https://admin.example.com/',
    'https://admin.example.com/path',
    'https://ADMIN.example.com',
    'https://admin.example.com:443',
    'admin.example.com',
    '*',
    'https://*.example.com',
    'null',
    'myapp://callback',
    '',
    7,
    null,
  ])('refuses %j', (origin) => {
    const options = { ...good, [name]: [origin] } as Parameters<typeof resolveConfig>[0];
    expect(() => resolveConfig(options, {})).toThrow(`${name} must be a list of origins`);
  });

  test('a list with a hole or with an iterator of its own is checked by the items that are used', () => {
    const iterated = Object.assign(['https://admin.example.com'], {
      *[Symbol.iterator]() {
        yield 'https://evil.example/';
      },
    });
    for (const origins of [[, 'https://admin.example.com'], iterated]) {
      const options = { ...good, [name]: origins } as never;
      expect(() => resolveConfig(options, {})).toThrow(`${name} must be a list of origins`);
    }
  });

  test('a string in place of a list is refused', () => {
    const options = { ...good, [name]: 'https://admin.example.com' } as never;
    expect(() => resolveConfig(options, {})).toThrow(`${name} must be a list of origins`);
  });
});

test('origins to return to are not trusted to act, and trusted origins are not addresses to return to', () => {
  const options = {
    ...good,
    returnToOrigins: ['https://docs.example.com'],
    trustedOrigins: ['https://spa.example.com'],
  };
  for (const config of [
    resolveConfig(options, {}),
    resolveSSOConfig({ ...options, redirectUri: 'https://app.example.com/sso/callback' }, {}),
  ]) {
    expect(config.trustedOrigins).toEqual(['https://spa.example.com']);
    expect(config.returnToRules.origins).toEqual(['https://docs.example.com']);
  }
});
