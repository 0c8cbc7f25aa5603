import { describe, expect, test } from 'vitest';
import { AuthKitError } from 'authkit-express';
import { resolveConfig } from '../../src/config/index.js';
import { fc, LONG } from '../support/properties.js';

const PASSWORD = 'correct-horse-battery-staple-0123456789';

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

  test('throws only config_invalid, for any input', LONG, () => {
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
