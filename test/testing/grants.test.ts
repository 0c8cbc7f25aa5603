import { decodeJwt } from 'jose';
import { describe, expect, test } from 'vitest';
import {
  authenticate,
  authorizationUrl,
  exchange,
  matching,
  refresh,
  signInByCode,
  start,
  TEXT,
  VERIFIER,
} from './application.js';

const callbackCode = (callback: string) => new URL(callback).searchParams.get('code');

describe('an authorization code', () => {
  test('is exchanged for a user and tokens, in the shape of WorkOS', async () => {
    const workos = await start();
    const { status, body } = await signInByCode(workos);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      authentication_method: 'Password',
      organization_id: matching(/^org_01/),
    });
    expect(body.user).toMatchObject({
      object: 'user',
      email: 'ada@example.com',
      first_name: 'Ada',
      email_verified: true,
    });
    expect(body).not.toHaveProperty('impersonator');
    const claims = decodeJwt(body['access_token']!);
    expect(claims).toMatchObject({
      iss: `${workos.url}/user_management/${workos.options.clientId}`,
      sub: body.user?.['id'],
      sid: matching(/^session_01/),
      client_id: workos.options.clientId,
      role: 'admin',
      roles: ['admin'],
      permissions: ['billing:read', 'members:manage'],
    });
    expect(claims.exp! - claims.iat!).toBe(300);
    expect(claims['auth_time']).toBe(claims.iat);
    expect(claims).not.toHaveProperty('act');
  });

  test('works once', async () => {
    const workos = await start();
    const code = callbackCode(await workos.authorize(authorizationUrl(workos)));
    expect((await exchange(workos, code)).status).toBe(200);
    const again = await exchange(workos, code);
    expect(again.status).toBe(400);
    expect(again.body).toEqual({
      error: 'invalid_grant',
      error_description: `The code '${code ?? ''}' has expired or is invalid.`,
    });
  });

  test('expires after ten minutes', async () => {
    const workos = await start({ now: Date.now() });
    const [kept, late] = await Promise.all([0, 1].map(() => workos.authorize(authorizationUrl(workos))));
    workos.clock.advance(599_999);
    expect((await exchange(workos, callbackCode(kept!))).status).toBe(200);
    workos.clock.advance(1);
    expect((await exchange(workos, callbackCode(late!))).body['error']).toBe('invalid_grant');
  });

  test.each(['another-verifier-of-forty-three-characters-or-so', ''])(
    'is refused with the verifier "%s"',
    async (verifier) => {
      const workos = await start();
      const code = callbackCode(await workos.authorize(authorizationUrl(workos)));
      const { status, body } = await exchange(workos, code, verifier);
      expect([status, body['error']]).toEqual([400, 'invalid_grant']);
      expect((await exchange(workos, code)).status).toBe(400);
    },
  );

  test('needs no verifier if the sign-in sent no challenge', async () => {
    const workos = await start();
    const url = authorizationUrl(workos, { code_challenge: undefined, code_challenge_method: undefined });
    const code = callbackCode(await workos.authorize(url));
    const fields = { grant_type: 'authorization_code', code: code ?? '' };
    expect((await authenticate(workos, fields)).status).toBe(200);
  });

  test('states when the user authenticated, also after a refresh', async () => {
    const workos = await start({ now: 1_800_000_000_000 });
    const code = callbackCode(await workos.authorize(authorizationUrl(workos)));
    const first = await exchange(workos, code);
    workos.clock.advance(100_000);
    const second = await refresh(workos, first.body['refresh_token']);
    for (const { body } of [first, second]) {
      expect(decodeJwt(body['access_token']!)['auth_time']).toBe(1_800_000_000);
    }
  });

  test('of an OAuth provider comes with its tokens', async () => {
    const workos = await start();
    const url = authorizationUrl(workos, { provider: 'GoogleOAuth', provider_scopes: 'email calendar' });
    const { body } = await exchange(workos, callbackCode(await workos.authorize(url)));
    expect(body).toMatchObject({
      authentication_method: 'GoogleOAuth',
      oauth_tokens: { provider: 'GoogleOAuth', access_token: TEXT, scopes: ['email', 'calendar'] },
    });
  });

  test('is refused with a wrong secret or client, and stays valid', async () => {
    const workos = await start();
    const code = callbackCode(await workos.authorize(authorizationUrl(workos))) ?? '';
    const fields = { grant_type: 'authorization_code', code, code_verifier: VERIFIER };
    for (const wrong of [{ client_secret: 'sk_other' }, { client_id: 'client_other' }]) {
      const { status, body } = await authenticate(workos, { ...fields, ...wrong });
      expect([status, body['error']]).toEqual([400, 'invalid_client']);
    }
    expect((await authenticate(workos, fields)).status).toBe(200);
  });

  test('can be sent in a form', async () => {
    const workos = await start();
    const { clientId, apiKey } = workos.options;
    const code = callbackCode(await workos.authorize(authorizationUrl(workos))) ?? '';
    const fields = {
      client_id: clientId,
      client_secret: apiKey,
      grant_type: 'authorization_code',
      code,
      code_verifier: VERIFIER,
    };
    const url = `${workos.url}/user_management/authenticate`;
    expect((await fetch(url, { method: 'POST', body: new URLSearchParams(fields) })).status).toBe(200);
    expect((await fetch(url, { method: 'POST', body: '{' })).status).toBe(400);
    expect((await authenticate(workos, { grant_type: 'implicit' })).body['error']).toBe(
      'unsupported_grant_type',
    );
  });
});

describe('a refresh token', () => {
  test('rotates while the session stays the same', async () => {
    const workos = await start();
    const first = (await signInByCode(workos)).body;
    const second = (await refresh(workos, first['refresh_token'])).body;
    expect(second['refresh_token']).not.toBe(first['refresh_token']);
    const [before, after] = [first, second].map((body) => decodeJwt(body['access_token']!));
    expect(after?.['sid']).toBe(before?.['sid']);
    expect(after?.jti).not.toBe(before?.jti);
    expect(second['organization_id']).toBe(first['organization_id']);
  });

  test('gets the same tokens again for 30 seconds, and is refused afterwards', async () => {
    const workos = await start({ now: Date.now() });
    const old = (await signInByCode(workos)).body['refresh_token'];
    const answers = await Promise.all([refresh(workos, old), refresh(workos, old)]);
    workos.clock.advance(29_999);
    answers.push(await refresh(workos, old));
    expect(new Set(answers.map(({ body }) => body['access_token'])).size).toBe(1);
    expect(new Set(answers.map(({ body }) => body['refresh_token'])).size).toBe(1);
    workos.clock.advance(1);
    const late = await refresh(workos, old);
    expect(late.status).toBe(400);
    expect(late.body).toEqual({
      error: 'invalid_grant',
      error_description: 'Refresh token already exchanged.',
    });
    expect((await refresh(workos, answers[0].body['refresh_token'])).status).toBe(200);
  });

  test('is strictly single use without a replay window', async () => {
    const workos = await start();
    workos.replayWindow = 0;
    const token = (await signInByCode(workos)).body['refresh_token'];
    const answers = await Promise.all([1, 2, 3].map(() => refresh(workos, token)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 400, 400]);
  });

  test('is exchanged for tokens with the lifetime that is set now', async () => {
    const workos = await start({ accessTokenLifetime: 60 });
    const first = (await signInByCode(workos)).body;
    workos.accessTokenLifetime = 5;
    const second = (await refresh(workos, first['refresh_token'])).body;
    const lives = [first, second]
      .map((body) => decodeJwt(body['access_token']!))
      .map(({ exp, iat }) => exp! - iat!);
    expect(lives).toEqual([60, 5]);
  });

  test('is refused once its session has ended, or its user was deleted', async () => {
    const workos = await start();
    const sessions = await Promise.all([signInByCode(workos), signInByCode(workos, 'grace@example.com')]);
    workos.endSession(decodeJwt(sessions[0].body['access_token']!)['sid'] as string);
    workos.deleteUser('grace@example.com');
    for (const { body } of sessions) {
      expect(await refresh(workos, body['refresh_token'])).toEqual({
        status: 400,
        body: { error: 'invalid_grant', error_description: 'Session has already ended.' },
      });
    }
    expect((await refresh(workos, 'made-up')).body['error']).toBe('invalid_grant');
    expect(workos.users().map(({ email }) => email)).not.toContain('grace@example.com');
  });

  test('switches to an organization of the user, and to no other', async () => {
    const organizations = [
      { id: 'org_a', name: 'A' },
      { id: 'org_b', name: 'B', entitlements: ['audit'], featureFlags: ['new'] },
      { id: 'org_c', name: 'C' },
    ];
    const memberships = [
      { organizationId: 'org_a' },
      { organizationId: 'B', role: 'owner', permissions: ['all'] },
    ];
    const workos = await start({ organizations, users: [{ email: 'ada@example.com', memberships }] });
    const first = (await signInByCode(workos)).body;
    expect(first['organization_id']).toBe('org_a');
    const refused = await refresh(workos, first['refresh_token'], 'org_c');
    expect([refused.status, refused.body['error']]).toEqual([400, 'organization_membership_not_found']);
    const second = (await refresh(workos, first['refresh_token'], 'org_b')).body;
    expect(decodeJwt(second['access_token']!)).toMatchObject({
      org_id: 'org_b',
      role: 'owner',
      permissions: ['all'],
      entitlements: ['audit'],
      feature_flags: ['new'],
    });
    expect((await refresh(workos, second['refresh_token'])).body['organization_id']).toBe('org_b');
  });

  test('shows changes of the user and the membership', async () => {
    const workos = await start();
    const first = (await signInByCode(workos, 'grace@example.com')).body;
    workos.putUser({
      email: 'grace@example.com',
      lastName: 'Murray',
      memberships: [{ organizationId: 'Analytical Engines', role: 'admin' }],
    });
    const { body } = await refresh(workos, first['refresh_token']);
    expect(body.user).toMatchObject({ id: first.user?.['id'], name: 'Grace Murray' });
    expect(decodeJwt(body['access_token']!)['role']).toBe('admin');
  });
});

describe('an unfinished authentication', () => {
  test.each([
    [
      'organization_selection_required',
      'code',
      { organizations: [{ name: 'Analytical Engines' }], user: { email: 'ada@example.com' } },
    ],
    ['email_verification_required', 'code', { email: 'ada@example.com' }],
    ['mfa_enrollment', 'code', { user: { email: 'ada@example.com' } }],
    ['mfa_challenge', 'code', { authentication_factors: [{ type: 'totp' }] }],
    ['sso_required', 'error', { email: 'ada@example.com', connection_ids: [matching(/^conn_/)] }],
    ['organization_authentication_methods_required', 'error', { sso_connection_ids: [TEXT] }],
  ] as const)('answers %s', async (code, key, body) => {
    const workos = await start();
    const { restore } = workos.requireStep({ user: 'ada@example.com', code });
    const answer = await signInByCode(workos);
    expect(answer.status).toBe(403);
    expect(answer.body).toMatchObject({
      [key]: code,
      pending_authentication_token: TEXT,
      ...body,
    });
    expect((await signInByCode(workos, 'grace@example.com')).status).toBe(200);
    restore();
    expect((await signInByCode(workos)).status).toBe(200);
  });

  test('of a refresh leaves the token as it was', async () => {
    const workos = await start();
    const step = workos.requireStep({
      organizationId: 'Analytical Engines',
      code: 'mfa_enrollment',
      on: 'refresh',
    });
    const token = (await signInByCode(workos)).body['refresh_token'];
    expect((await refresh(workos, token)).status).toBe(403);
    step.restore();
    expect((await refresh(workos, token)).status).toBe(200);
  });
});
