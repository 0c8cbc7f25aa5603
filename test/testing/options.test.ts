import { createHash, X509Certificate } from 'node:crypto';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { importJWK, type JWK } from 'jose';
import { describe, expect, test } from 'vitest';
import type { TestWorkOS } from '../../src/testing/index.js';
import { authorizationUrl, signInByCode, start } from './application.js';

describe('a misspelled option is an error that suggests the right name', () => {
  const ATTEMPTS: [what: string, attempt: (workos: TestWorkOS) => unknown, message: string][] = [
    [
      'of createTestWorkOS()',
      () => start({ user: [] } as object),
      'createTestWorkOS() has no option "user". Did you mean "users"?',
    ],
    [
      'of a user',
      () => start({ users: [{ email: 'a@example.com', firstname: 'A' }] } as object),
      'a user has no option "firstname". Did you mean "firstName"?',
    ],
    [
      'of a membership',
      () =>
        start({
          organizations: [{ name: 'A' }],
          users: [{ email: 'a@example.com', memberships: [{ organizationId: 'A', permission: [] }] }],
        } as object),
      'a membership has no option "permission". Did you mean "permissions"?',
    ],
    [
      'of an organization',
      () => start({ organizations: [{ name: 'A', entitlement: [] }] } as object),
      'an organization has no option "entitlement". Did you mean "entitlements"?',
    ],
    [
      'of a connection',
      () => start({ organizations: [{ name: 'A', connections: [{ typ: 'X' }] }] } as object),
      'a connection has no option "typ". Did you mean "type"?',
    ],
    [
      'of signIn()',
      (workos) => workos.signIn({ organisationId: 'x' } as object),
      'signIn() has no option "organisationId". Did you mean "organizationId"?',
    ],
    [
      'of accessToken()',
      (workos) => workos.accessToken({ permisions: [] } as object),
      'accessToken() has no option "permisions". Did you mean "permissions"?',
    ],
    [
      'of a user of signIn()',
      (workos) => workos.signIn({ user: { email: 'x@example.com', externalID: '1' } as never }),
      'has no option "externalID". Did you mean "externalId"?',
    ],
    [
      'of putUser()',
      (workos) => workos.putUser({ email: 'x@example.com', emailverified: true } as never),
      'putUser() has no option "emailverified". Did you mean "emailVerified"?',
    ],
    [
      'of fail()',
      (workos) => workos.fail({ on: 'refresh', statusCode: 500 } as never),
      'fail() has no option "statusCode". Did you mean "status"?',
    ],
    [
      'of an operation',
      (workos) => workos.fail({ on: 'refersh' as never, status: 500 }),
      'fail(): there is no operation "refersh". Did you mean "refresh"?',
    ],
    [
      'of an operation of callsTo()',
      (workos) => workos.callsTo('token' as never),
      'callsTo(): there is no operation "token".',
    ],
    [
      'of an address',
      (workos) => workos.fail({ on: { method: 'GET', url: '/x' } as never, status: 500 }),
      '`on` has no option "url".',
    ],
    [
      'of a path',
      (workos) => workos.fail({ on: { path: 'widgets/token' }, status: 500 }),
      'the path "widgets/token" of `on` must start with a slash',
    ],
    [
      'of requireStep()',
      (workos) => workos.requireStep({ code: 'mfa_challange' as never }),
      'there is no step "mfa_challange". Did you mean "mfa_challenge"?',
    ],
    [
      'of invite()',
      (workos) => workos.invite({ email: 'x@example.com', organization: 'A' } as never),
      'invite() has no option "organization". Did you mean "organizationId"?',
    ],
    [
      'of createApiKey()',
      (workos) => workos.createApiKey({ permission: [] } as never),
      'createApiKey() has no option "permission". Did you mean "permissions"?',
    ],
    [
      'of oauthToken()',
      (workos) => workos.oauthToken({ scopes: 'x' } as never),
      'oauthToken() has no option "scopes". Did you mean "scope"?',
    ],
    [
      'of authorize()',
      (workos) => workos.authorize(authorizationUrl(workos), { organisation: 'x' } as never),
      'authorize() has no option "organisation".',
    ],
    [
      'of webhook()',
      (workos) => workos.webhook('user.deleted', {}, { timeStamp: 1 } as never),
      'webhook() has no option "timeStamp". Did you mean "timestamp"?',
    ],
    [
      'of startAtIdentityProvider()',
      (workos) => workos.startAtIdentityProvider({ user: 'x', connectionId: 'y' } as never),
      'startAtIdentityProvider() has no option "connectionId". Did you mean "connection"?',
    ],
  ];

  test.each(ATTEMPTS)('%s', async (_, attempt, message) => {
    const workos = await start();
    await expect((async () => attempt(workos))()).rejects.toThrow(message);
  });

  test('an option that resembles none is answered with the list of all', async () => {
    await expect(start({ zzz: 1 } as object)).rejects.toThrow(
      /has no option "zzz"\. Its options are users, organizations, port, /,
    );
  });

  test('a user, a connection and an organization that do not exist are named', async () => {
    const workos = await start();
    const connection = 'conn_none';
    expect(() => workos.startAtIdentityProvider({ user: 'ada@example.com', connection })).toThrow(
      'The test WorkOS has no connection "conn_none"',
    );
    expect(() => workos.startAtIdentityProvider({ user: 'who@example.com', connection })).toThrow(
      'The test WorkOS has no user "who@example.com"',
    );
    expect(() => workos.createApiKey({ user: 'who@example.com' })).toThrow('has no user "who@example.com"');
    expect(() => workos.invite({ email: 'x@example.com', organizationId: 'None' })).toThrow(
      'The test WorkOS has no organization "None"',
    );
    expect(() => workos.emailCode('ada@example.com')).toThrow('No code was sent to "ada@example.com"');
    expect(() => workos.totpCode('ada@example.com')).toThrow('has no authentication factor');
  });
});

describe('a fault at an address', () => {
  const ask = async ({ url, options }: TestWorkOS, path: string, method = 'GET') => {
    const headers = { authorization: `Bearer ${options.apiKey}` };
    return (await fetch(url + path, { method, headers })).status;
  };

  test('applies to its method and path only, and any number of times', async () => {
    const workos = await start();
    const stub = workos.fail({ on: { method: 'post', path: '/vault/v1/kv' }, status: 201, body: {} });
    expect(await ask(workos, '/vault/v1/kv', 'POST')).toBe(201);
    expect(await ask(workos, '/vault/v1/kv?x=1', 'POST')).toBe(201);
    expect(await ask(workos, '/vault/v1/kv')).toBe(501);
    expect(await ask(workos, '/vault/v1/kv/id', 'POST')).toBe(501);
    stub.restore();
    expect(await ask(workos, '/vault/v1/kv', 'POST')).toBe(501);
  });

  test('applies to every method without one, and to every value of a named segment', async () => {
    const workos = await start();
    workos.fail({ on: { path: '/user_management/users/:id' }, status: 503 });
    const [ada] = workos.users();
    expect(await ask(workos, `/user_management/users/${ada!.id}`)).toBe(503);
    expect(await ask(workos, '/user_management/users/user_x', 'DELETE')).toBe(503);
    expect(await ask(workos, '/user_management/users')).toBe(200);
    expect(await ask(workos, `/user_management/users/${ada!.id}/sessions`)).toBe(200);
    workos.recover();
    expect(await ask(workos, `/user_management/users/${ada!.id}`)).toBe(200);
  });
});

test('env has every variable that an application reads, and a child process can use them', async () => {
  const workos = await start({ issuer: 'https://auth.example.com' });
  const { options, env } = workos;
  expect(env).toEqual({
    WORKOS_CLIENT_ID: options.clientId,
    WORKOS_API_KEY: options.apiKey,
    WORKOS_COOKIE_PASSWORD: options.cookiePassword,
    WORKOS_REDIRECT_URI: options.redirectUri,
    WORKOS_API_HOSTNAME: '127.0.0.1',
    WORKOS_API_HTTPS: 'false',
    WORKOS_API_PORT: String(options.apiPort),
    WORKOS_WEBHOOK_SECRET: workos.webhookSecret,
    WORKOS_ISSUER: 'https://auth.example.com',
    // For the clock: clock.test.ts.
    NODE_OPTIONS: env['NODE_OPTIONS'],
    AUTHKIT_TEST_CLOCK: env['AUTHKIT_TEST_CLOCK'],
  });
  const script = `
    const { WORKOS_API_HOSTNAME: host, WORKOS_API_PORT: port, WORKOS_CLIENT_ID: client } = process.env;
    const keys = await (await fetch('http://' + host + ':' + port + '/sso/jwks/' + client)).json();
    console.log(keys.keys.length);`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script], {
    env: { ...process.env, ...env },
  });
  expect(stdout).toBe('1\n');
});

test('each published key comes with a certificate of that key, and its thumbprint', async () => {
  const workos = await start();
  await workos.rotateKeys();
  const response = await fetch(`${workos.url}/sso/jwks/${workos.options.clientId}`);
  const { keys } = (await response.json()) as { keys: JWK[] };
  expect(keys).toHaveLength(2);
  for (const jwk of keys) {
    const der = Buffer.from(jwk.x5c![0]!, 'base64');
    const certificate = new X509Certificate(der);
    expect(certificate.publicKey.export({ format: 'jwk' })).toMatchObject({ n: jwk.n, e: jwk.e });
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(jwk['x5t#S256']).toBe(createHash('sha256').update(der).digest('base64url'));
    await importJWK(jwk, 'RS256');
  }
  expect(new Set(keys.map(({ x5c }) => x5c![0])).size).toBe(2);
});

test.each([
  ['mfa_verification', { authentication_factors: [] }],
  ['radar_challenge', {}],
  ['radar_sign_up_challenge', {}],
  ['radar_email_challenge', { email: 'ada@example.com' }],
  ['radar_sms_challenge', {}],
] as const)('requireStep leaves a sign-in unfinished with %s', async (code, body) => {
  const workos = await start();
  const { restore } = workos.requireStep({ code });
  const answer = await signInByCode(workos);
  expect(answer).toMatchObject({ status: 403, body: { code, ...body } });
  expect(answer.body['pending_authentication_token']).not.toBe('');
  restore();
  expect((await signInByCode(workos)).status).toBe(200);
});
