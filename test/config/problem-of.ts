import { expect } from 'vitest';
import { AuthKitError } from 'authkit-express';
import { resolveConfig } from '../../src/config/index.js';
import { resolveSSOConfig } from '../../src/config/resolve-sso-config.js';

/** Valid options. */
export const GOOD = {
  clientId: 'client_01TEST',
  apiKey: 'sk_test_secret',
  redirectUri: 'https://app.example.com/callback',
  cookiePassword: 'correct-horse-battery-staple-0123456789',
};

export const GOOD_SSO = { ...GOOD, redirectUri: 'https://app.example.com/sso/callback' };

/** The problems of a configuration, one string each. Any error except `config_invalid` fails the test. */
function problemsIn(resolve: () => unknown): string[] {
  try {
    resolve();
  } catch (error) {
    expect(error).toBeInstanceOf(AuthKitError);
    expect(error).toMatchObject({ code: 'config_invalid' });
    return (error as AuthKitError).details?.['problems'] as string[];
  }
  return [];
}

export function problemsOf(options: object, env: NodeJS.ProcessEnv = {}): string[] {
  return problemsIn(() => resolveConfig(options, env));
}

export function ssoProblemsOf(options: object, env: NodeJS.ProcessEnv = {}): string[] {
  return problemsIn(() => resolveSSOConfig(options, env));
}

/** The first line of the error message. */
export function titleOf(options: object, env: NodeJS.ProcessEnv = {}): string {
  try {
    resolveConfig(options, env);
  } catch (error) {
    return (error as Error).message.split('\n')[0] ?? '';
  }
  return '';
}
