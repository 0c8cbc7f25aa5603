import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import type { SignInOptions } from 'authkit-express';
import { authKitParameters, ssoParameters } from '../src/config/authorization-parameters.js';
import { PROVIDERS } from '../src/config/provider-names.js';
import type { SSOSignInOptions } from '../src/config/sso-options.js';

interface Described {
  name: string;
  in: string;
  required?: boolean;
  schema: { type?: string; enum?: string[] };
}

/** WorkOS's own description of its API. */
const spec = parse(
  readFileSync(new URL('../node_modules/@workos/openapi-spec/open-api-spec.yaml', import.meta.url), 'utf8'),
) as { paths: Record<string, { get?: { parameters: Described[] } }> };

function described(path: string): Described[] {
  const { get } = spec.paths[path]!;
  expect(get!.parameters.length).toBeGreaterThan(10);
  return get!.parameters.filter((parameter) => parameter.in === 'query');
}

/** What every sign-in sends, whatever its options. */
const PROTOCOL = {
  client_id: 'client_1',
  redirect_uri: 'https://a.example/cb',
  state: 's',
  code_challenge: 'c',
  code_challenge_method: 'S256',
};

/** One value for each option; the compiler keeps both complete. */
const AUTHKIT: Readonly<Required<SignInOptions>> = {
  provider: 'google',
  connectionId: 'conn_1',
  organizationId: 'org_1',
  loginHint: 'ada@example.com',
  domainHint: 'example.com',
  screenHint: 'sign-up',
  prompt: 'login',
  invitationToken: 'token_1',
  maxAge: 60,
  providerScopes: ['openid', 'email'],
  providerQueryParams: { hd: 'example.com' },
  claimNonce: 'nonce_1',
};
/** Without the second names of two options. */
const SSO: Readonly<Required<Omit<SSOSignInOptions, 'organizationId' | 'connectionId'>>> = {
  organization: 'org_1',
  connection: 'conn_1',
  provider: 'google',
  domain: 'example.com',
  loginHint: 'ada@example.com',
  domainHint: 'example.com',
  nonce: 'nonce_1',
  providerScopes: ['openid', 'email'],
  providerQueryParams: { hd: 'example.com' },
};

/** Names of a query, an object's members under the object's own. */
function names(query: URLSearchParams): string[] {
  return [...new Set([...query.keys()].map((name) => name.replace(/\[.*$/, '')))];
}

function produced<Options extends object>(
  options: Options,
  query: (options: Options, protocol: Record<string, string>) => URLSearchParams,
): string[] {
  // One at a time: several of them exclude each other.
  const each = Object.entries(options as Record<string, unknown>).map(([name, value]) =>
    query({ [name]: value } as Options, PROTOCOL),
  );
  return [...new Set(each.flatMap(names))].sort();
}

describe.each([
  ['/user_management/authorize', produced(AUTHKIT, authKitParameters.query), ['claim_nonce', 'max_age']],
  ['/sso/authorize', produced(SSO, ssoParameters.query), ['code_challenge', 'code_challenge_method']],
])('%s', (path, sent, newer) => {
  test('every parameter that WorkOS documents can be sent, and no other is sent', () => {
    const known = described(path).map(({ name }) => name);
    expect(sent).toEqual([...new Set([...known, ...newer])].sort());
    for (const name of newer) expect(known, `${name} is described by now`).not.toContain(name);
  });

  test('parameters that WorkOS requires are always sent', () => {
    const query = path.startsWith('/sso')
      ? ssoParameters.query({ connection: 'conn_1' }, PROTOCOL)
      : authKitParameters.query({}, PROTOCOL);
    for (const { name, required } of described(path)) if (required) expect(query.has(name), name).toBe(true);
  });

  test('the accepted values are those that WorkOS enumerates', () => {
    for (const { name, schema } of described(path)) {
      if (schema.enum === undefined) continue;
      const option = name === 'screen_hint' ? 'screenHint' : name;
      const set = path.startsWith('/sso') ? ssoParameters : authKitParameters;
      for (const value of schema.enum) expect(set.problemsOf({ [option]: value }), value).toEqual([]);
      expect(set.problemsOf({ [option]: 'nonsense' })).not.toEqual([]);
    }
  });
});

test('each kind of option is encoded as the endpoint expects it', () => {
  const query = authKitParameters.query(
    { provider: 'google', providerScopes: ['a', 'b'], providerQueryParams: { hd: 'x' } },
    PROTOCOL,
  );
  expect(query.getAll('provider')).toEqual(['GoogleOAuth']);
  expect(query.getAll('provider_scopes')).toEqual(['a', 'b']);
  expect(query.get('provider_query_params[hd]')).toBe('x');
  expect(authKitParameters.query({ connectionId: 'conn_1' }, PROTOCOL).has('provider')).toBe(false);
  expect(authKitParameters.query({}, PROTOCOL).get('provider')).toBe('authkit');
});

test('the known providers are those that WorkOS lists, and newer ones', () => {
  const listed = ['/user_management/authorize', '/sso/authorize'].flatMap(
    (path) => described(path).find(({ name }) => name === 'provider')?.schema.enum ?? [],
  );
  const newer = ['DiscordOAuth', 'GrokOAuth', 'XOAuth'];
  const all = new Set([...listed.filter((name) => name !== 'authkit'), ...newer]);
  expect([...PROVIDERS].sort()).toEqual([...all].sort());
});
