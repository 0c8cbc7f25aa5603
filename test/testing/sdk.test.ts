import { AuthenticationException, OauthException, WorkOS } from '@workos-inc/node';
import { describe, expect, test } from 'vitest';
import type { TestWorkOS } from '../../src/testing/index.js';
import { REDIRECT_URI, start, TEXT } from './application.js';

function client({ options: { apiKey, clientId, apiHostname, apiPort, apiHttps } }: TestWorkOS): WorkOS {
  return new WorkOS({ apiKey, clientId, apiHostname, port: apiPort, https: apiHttps, maxRetries: 0 });
}

function sealed(workos: TestWorkOS, cookie: string) {
  const sessionData = cookie.slice('wos-session='.length);
  return client(workos).userManagement.loadSealedSession({
    sessionData,
    cookiePassword: workos.options.cookiePassword,
  });
}

describe('@workos-inc/node', () => {
  test('signs in with PKCE, refreshes and signs out', async () => {
    const workos = await start();
    const { userManagement: users } = client(workos);
    const { url, state, codeVerifier } = await users.getAuthorizationUrlWithPKCE({
      provider: 'authkit',
      redirectUri: REDIRECT_URI,
    });
    const callback = new URL(await workos.authorize(url, { user: 'ada@example.com' }));
    expect(callback.searchParams.get('state')).toBe(state);
    const code = callback.searchParams.get('code') ?? '';
    const first = await users.authenticateWithCode({ code, codeVerifier });
    expect(first.user).toEqual(workos.users()[0]);
    expect(first).toMatchObject({ authenticationMethod: 'Password', organizationId: TEXT });
    const second = await users.authenticateWithRefreshToken({ refreshToken: first.refreshToken });
    expect(second.user).toEqual(first.user);
    expect(second.refreshToken).not.toBe(first.refreshToken);
    const again = await users.authenticateWithCode({ code, codeVerifier }).catch((error: unknown) => error);
    expect(again).toBeInstanceOf(OauthException);
    expect(again).toMatchObject({ status: 400, error: 'invalid_grant' });
  });

  test('opens, refreshes and ends a session of signIn', async () => {
    const workos = await start();
    const session = sealed(
      workos,
      await workos.signIn({ permissions: ['read'], impersonator: { email: 'x@example.com' } }),
    );
    const authenticated = await session.authenticate();
    expect(authenticated).toMatchObject({
      authenticated: true,
      user: workos.users()[0],
      permissions: ['read'],
      impersonator: { email: 'x@example.com', reason: null },
    });
    const refreshed = await session.refresh();
    expect(refreshed).toMatchObject({ authenticated: true, permissions: ['read'] });
    expect(refreshed).toHaveProperty('sessionId', (authenticated as { sessionId: string }).sessionId);
    expect((await session.authenticate()).authenticated).toBe(true);
    const logout = await fetch(await session.getLogoutUrl({ returnTo: 'https://app.example/' }), {
      redirect: 'manual',
    });
    expect(logout.headers.get('location')).toBe('https://app.example/');
    expect(await session.refresh()).toMatchObject({ authenticated: false, reason: 'invalid_grant' });
  });

  test('refuses an expired token, and refreshes it', async () => {
    const workos = await start();
    const expired = sealed(workos, await workos.signIn({ expiresIn: -1 }));
    expect(await expired.authenticate()).toMatchObject({ authenticated: false, reason: 'invalid_jwt' });
    expect((await expired.refresh()).authenticated).toBe(true);
  });

  test('reports an unfinished authentication', async () => {
    const workos = await start();
    const session = sealed(workos, await workos.signIn());
    workos.requireStep({ code: 'sso_required', on: 'refresh' });
    expect(await session.refresh()).toMatchObject({ authenticated: false, reason: 'sso_required' });
    workos.requireStep({ code: 'mfa_challenge', on: 'code' });
    const { userManagement: users } = client(workos);
    const url = users.getAuthorizationUrl({ provider: 'authkit', redirectUri: REDIRECT_URI });
    const code = new URL(await workos.authorize(url)).searchParams.get('code') ?? '';
    const error = await users.authenticateWithCode({ code }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(AuthenticationException);
    expect(error).toMatchObject({
      status: 403,
      code: 'mfa_challenge',
      pendingAuthenticationToken: TEXT,
    });
  });
});
