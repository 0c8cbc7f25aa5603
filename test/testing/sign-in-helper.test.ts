import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose';
import { describe, expect, test } from 'vitest';
import {
  createTestWorkOS,
  defaultTestWorkOS,
  signIn,
  type TestSignIn,
  type TestWorkOS,
} from '../../src/testing/index.js';
import { matching, refresh, start, TEXT, unseal } from './application.js';

async function signedIn(workos: TestWorkOS, options?: TestSignIn) {
  const session = await unseal(workos, await workos.signIn(options));
  return { session, claims: decodeJwt(session['accessToken'] as string) };
}

describe('signIn', () => {
  test('seals a session as authkit-express does, without HTTP', async () => {
    const workos = await start();
    const cookie = await workos.signIn();
    expect(cookie).toMatch(/^wos-session=Fe26\.2\*1\*[\w*-]+~2$/);
    expect(await unseal(workos, cookie)).toEqual({
      accessToken: TEXT,
      refreshToken: TEXT,
      user: expect.objectContaining({
        object: 'user',
        email: 'ada@example.com',
        firstName: 'Ada',
        externalId: null,
      }) as unknown,
      authenticationMethod: 'Password',
      organizationId: matching(/^org_01/),
      authkitExpress: { purpose: 'session', tokenMac: matching(/^[\w-]{22}$/) },
    });
    expect(workos.calls).toEqual([]);
  });

  test('grants what it names, also after a refresh', async () => {
    const workos = await start();
    const options = {
      organizationId: 'org_elsewhere',
      role: 'viewer',
      permissions: ['read'],
      entitlements: ['audit'],
      featureFlags: ['beta'],
      claims: { plan: 'gold' },
    };
    const { session, claims } = await signedIn(workos, options);
    const { body } = await refresh(workos, session['refreshToken'] as string, 'org_elsewhere');
    for (const granted of [claims, decodeJwt(body['access_token']!)]) {
      expect(granted).toMatchObject({
        org_id: 'org_elsewhere',
        role: 'viewer',
        roles: ['viewer'],
        permissions: ['read'],
        entitlements: ['audit'],
        feature_flags: ['beta'],
        plan: 'gold',
      });
    }
  });

  test('takes the permissions of the role unless they are named', async () => {
    const workos = await start();
    expect((await signedIn(workos)).claims['permissions']).toEqual(['billing:read', 'members:manage']);
    expect((await signedIn(workos, { role: 'guest' })).claims['permissions']).toEqual([]);
    expect((await signedIn(workos, { roles: ['a', 'b'] })).claims).toMatchObject({
      role: 'a',
      roles: ['a', 'b'],
    });
    const alone = (await signedIn(workos, { organizationId: null })).claims;
    for (const claim of ['org_id', 'role', 'roles', 'permissions']) expect(alone).not.toHaveProperty(claim);
  });

  test('finds users by address and id, and creates new ones', async () => {
    const workos = await start();
    const alan = workos.users().find(({ email }) => email === 'alan@example.com');
    expect((await signedIn(workos, { user: 'Alan@Example.com' })).claims.sub).toBe(alan?.id);
    expect((await signedIn(workos, { user: alan!.id })).claims.sub).toBe(alan?.id);
    const { session } = await signedIn(workos, {
      user: { email: 'mary@example.com', metadata: { team: 'x' } },
    });
    expect(session['user']).toMatchObject({ email: 'mary@example.com', metadata: { team: 'x' } });
    await expect(workos.signIn({ user: 'who@example.com' })).rejects.toThrow(
      'The test WorkOS has no user "who@example.com". Pass an object to create one. Its users are: ada@example.com',
    );
  });

  test('can be an impersonation, or expired, or not what WorkOS signs', async () => {
    const workos = await start();
    const { session, claims } = await signedIn(workos, {
      impersonator: { email: 'support@example.com' },
      expiresIn: -10,
    });
    expect(session['impersonator']).toEqual({ email: 'support@example.com', reason: null });
    expect(session['authenticationMethod']).toBe('Impersonation');
    expect(claims['act']).toEqual({ sub: 'support@example.com' });
    expect(claims.exp! - claims.iat!).toBe(-10);
    const { body } = await refresh(workos, session['refreshToken'] as string);
    expect(body).toMatchObject({
      impersonator: { email: 'support@example.com' },
      authentication_method: 'Impersonation',
    });
    const odd = await signedIn(workos, {
      claims: { iss: 'https://elsewhere.example', client_id: undefined },
    });
    expect(odd.claims.iss).toBe('https://elsewhere.example');
    expect(odd.claims).not.toHaveProperty('client_id');
  });

  test('has a shared default', async () => {
    const workos = await defaultTestWorkOS();
    const session = await unseal(workos, await signIn({ user: 'grace@example.com' }));
    expect((await refresh(workos, session['refreshToken'] as string)).status).toBe(200);
    await workos.close();
  });
});

describe('the key set', () => {
  const verify = async ({ url, options }: TestWorkOS, token: string) =>
    jwtVerify(token, createRemoteJWKSet(new URL(`${url}/sso/jwks/${options.clientId}`)), {
      algorithms: ['RS256'],
    });

  test('verifies tokens, before and after a rotation', async () => {
    const workos = await start();
    const token = await workos.signToken({ sub: 'user_1' });
    await workos.rotateKeys();
    const fresh = await workos.signToken({ sub: 'user_2' });
    expect(decodeProtectedHeader(fresh).kid).not.toBe(decodeProtectedHeader(token).kid);
    expect((await verify(workos, token)).payload.sub).toBe('user_1');
    expect((await verify(workos, fresh)).payload.sub).toBe('user_2');
    await workos.rotateKeys({ keepOld: false });
    await expect(verify(workos, fresh)).rejects.toThrow('no applicable key');
  });

  test('is that of one client, and contains no private key', async () => {
    const workos = await start();
    const keys = (await (await fetch(`${workos.url}/sso/jwks/${workos.options.clientId}`)).json()) as {
      keys: object[];
    };
    expect(Object.keys(keys.keys[0]!).sort()).toEqual([
      'alg',
      'e',
      'kid',
      'kty',
      'n',
      'use',
      'x5c',
      'x5t#S256',
    ]);
    expect((await fetch(`${workos.url}/sso/jwks/client_other`)).status).toBe(404);
  });
});

describe('the server', () => {
  test('closes twice, and frees its port', async () => {
    const workos = await createTestWorkOS();
    await fetch(workos.url);
    await Promise.all([workos.close(), workos.close()]);
    await expect(fetch(workos.url)).rejects.toThrow();
    const next = await start({ port: workos.options.apiPort });
    await expect(createTestWorkOS({ port: next.options.apiPort })).rejects.toThrow('EADDRINUSE');
  });

  test('names an organization that is missing', async () => {
    const users = [{ email: 'ada@example.com', memberships: [{ organizationId: 'nowhere' }] }];
    await expect(createTestWorkOS({ users })).rejects.toThrow('No organization has the id or name "nowhere"');
  });

  test(
    'does not keep a process running: neither the shared one, nor one that was closed',
    { timeout: 60_000 },
    async () => {
      const script = `
      import { createTestWorkOS, defaultTestWorkOS, signIn } from './src/testing/index.ts';
      await signIn();
      await fetch((await defaultTestWorkOS()).url);
      const workos = await createTestWorkOS();
      workos.fail({ on: 'jwks', hang: true });
      workos.fail({ on: 'other', delay: 60_000 });
      void fetch(workos.url + '/sso/jwks/x').catch(() => {});
      void fetch(workos.url).catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 100));
      await workos.close();
      console.log('done');`;
      const args = ['--import', 'tsx', '--input-type=module', '--eval', script];
      const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 30_000 });
      expect(stdout).toBe('done\n');
    },
  );
});
