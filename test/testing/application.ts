import { createHash } from 'node:crypto';
import { afterEach, expect } from 'vitest';
import { createTestWorkOS, type TestWorkOS, type TestWorkOSOptions } from '../../src/testing/index.js';

const running: TestWorkOS[] = [];

afterEach(async () => {
  await Promise.all(running.splice(0).map((workos) => workos.close()));
});

/** Starts a test WorkOS that the test does not have to close. */
export async function start(options?: TestWorkOSOptions): Promise<TestWorkOS> {
  const workos = await createTestWorkOS(options);
  running.push(workos);
  return workos;
}

/** Matches any string in an expectation. */
export const TEXT: unknown = expect.any(String);

export function matching(pattern: RegExp): unknown {
  return expect.stringMatching(pattern);
}

export const VERIFIER = 'a-code-verifier-of-forty-three-characters-or-more';
export const REDIRECT_URI = 'http://localhost:3000/callback';

/** An authorization URL with PKCE. `undefined` removes a parameter. */
export function authorizationUrl(
  { url, options }: TestWorkOS,
  changes: Record<string, string | undefined> = {},
): string {
  const parameters: Record<string, string | undefined> = {
    client_id: options.clientId,
    redirect_uri: REDIRECT_URI,
    response_type: 'code',
    provider: 'authkit',
    state: 'a b+c%2F&=é',
    code_challenge: createHash('sha256').update(VERIFIER).digest('base64url'),
    code_challenge_method: 'S256',
    ...changes,
  };
  const given = Object.entries(parameters).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  return `${url}/user_management/authorize?${new URLSearchParams(given).toString()}`;
}

export interface Answer {
  status: number;
  body: Record<string, string> & { user?: Record<string, unknown> };
}

export async function authenticate(
  { url, options }: TestWorkOS,
  fields: Record<string, string | undefined>,
): Promise<Answer> {
  const response = await fetch(`${url}/user_management/authenticate`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ client_id: options.clientId, client_secret: options.apiKey, ...fields }),
  });
  return { status: response.status, body: (await response.json()) as Answer['body'] };
}

export function refresh(workos: TestWorkOS, refreshToken: string | undefined, organizationId?: string) {
  const fields = {
    grant_type: 'refresh_token',
    refresh_token: refreshToken,
    organization_id: organizationId,
  };
  return authenticate(workos, fields);
}

export function exchange(workos: TestWorkOS, code: string | null, verifier: string | undefined = VERIFIER) {
  return authenticate(workos, {
    grant_type: 'authorization_code',
    code: code ?? '',
    code_verifier: verifier,
  });
}

/** Signs in through the sign-in page and fetches the tokens. */
export async function signInByCode(workos: TestWorkOS, user = 'ada@example.com') {
  const callback = await workos.authorize(authorizationUrl(workos), { user });
  return exchange(workos, new URL(callback).searchParams.get('code'));
}

/** The contents of the seal in a `Cookie` header made by `signIn`. */
export async function unseal(workos: TestWorkOS, cookie: string): Promise<Record<string, unknown>> {
  const iron = await import('iron-webcrypto');
  const sealed = cookie.slice(cookie.indexOf('=') + 1).replace(/~2$/, '');
  const passwords = { '1': workos.options.cookiePassword };
  return (await iron.unseal(sealed, passwords, iron.defaults)) as Record<string, unknown>;
}
