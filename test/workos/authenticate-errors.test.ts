import { describe, expect, onTestFinished, test } from 'vitest';
import { signedIn } from 'authkit-express';
import type { Fault } from 'authkit-express/testing';
import { ERROR_CODES, type AuthKitErrorCode } from '../../src/errors.js';
import { FETCH, NAVIGATION, send } from '../support/browser.js';
import { ADA, json, createTestApp } from '../support/app.js';
import { advanceMonotonicClock } from '../support/monotonic-clock.js';

/**
 * The error responses for `POST /user_management/authenticate` in WorkOS's OpenAPI description and SDK, with what each
 * one means here: an error about the user, or a mistake by the operator (`operator`).
 */
const ROWS: readonly [
  status: number,
  field: 'code' | 'error',
  name: string,
  expected: AuthKitErrorCode | 'operator',
][] = [
  [400, 'code', 'invalid_organization_id', 'organization_unavailable'],
  [400, 'code', 'code_challenge_not_found', 'code_exchange_failed'],
  [400, 'code', 'invalid_credentials', 'invalid_credentials'],
  [400, 'code', 'invalid_one_time_code', 'invalid_one_time_code'],
  [400, 'code', 'one_time_code_previously_used', 'one_time_code_previously_used'],
  [400, 'code', 'one_time_code_expired', 'one_time_code_expired'],
  [400, 'code', 'one_time_code_too_many_attempts', 'one_time_code_too_many_attempts'],
  [400, 'code', 'invalid_pending_authentication_token', 'invalid_pending_authentication_token'],
  [400, 'code', 'user_mismatch', 'user_mismatch'],
  [400, 'error', 'invalid_client', 'operator'],
  [400, 'error', 'unauthorized_client', 'operator'],
  [400, 'error', 'invalid_grant', 'code_exchange_failed'],
  [400, 'error', 'invalid_profile', 'invalid_profile'],
  [400, 'error', 'invitation_invalid', 'invitation_invalid'],
  [400, 'error', 'invitation_cannot_be_used_for_email', 'invitation_cannot_be_used_for_email'],
  [400, 'error', 'authentication_method_not_allowed', 'authentication_method_not_allowed'],
  [400, 'error', 'invalid_connection', 'invalid_connection'],
  [400, 'error', 'sign_up_not_allowed', 'sign_up_not_allowed'],
  [400, 'error', 'organization_authentication_methods_required', 'sso_required'],
  [400, 'error', 'invalid_link_authorization_code', 'invalid_link_authorization_code'],
  [400, 'error', 'extra_attributes_required', 'extra_attributes_required'],
  [400, 'error', 'pkce_not_supported', 'operator'],
  [400, 'error', 'expired_token', 'expired_token'],
  [400, 'error', 'authorization_pending', 'operator'],
  [400, 'error', 'access_denied', 'access_denied'],
  [400, 'error', 'slow_down', 'operator'],
  [403, 'code', 'mfa_enrollment', 'mfa_enrollment'],
  [403, 'code', 'mfa_challenge', 'mfa_challenge'],
  [403, 'code', 'mfa_verification', 'mfa_verification'],
  [403, 'code', 'sso_required', 'sso_required'],
  [403, 'code', 'authentication_method_not_allowed', 'authentication_method_not_allowed'],
  [403, 'code', 'email_verification_required', 'email_verification_required'],
  [403, 'code', 'email_password_auth_disabled', 'email_password_auth_disabled'],
  [403, 'code', 'organization_selection_required', 'organization_selection_required'],
  [403, 'code', 'organization_not_authorized', 'organization_unavailable'],
  [403, 'code', 'passkey_progressive_enrollment', 'passkey_progressive_enrollment'],
  [403, 'code', 'radar_challenge', 'radar_challenge'],
  [403, 'code', 'radar_sign_up_challenge', 'radar_sign_up_challenge'],
  [403, 'code', 'application_consent_required', 'application_consent_required'],
  [404, 'code', 'organization_not_found', 'organization_unavailable'],
  [422, 'code', 'invalid_request_parameters', 'operator'],
  [429, 'code', 'daily_quota_exceeded', 'operator'],
];

const SECRET = 'pending_0123456789abcdefghijklmnop';

function faultOf(status: number, field: string, name: string): Omit<Fault, 'on'> {
  const text =
    field === 'code' ? { message: 'Request could not be processed.' } : { error_description: name };
  return { status, body: { [field]: name, ...text, pending_authentication_token: SECRET } };
}

/** Records the codes of this process's warnings from now on. */
function warnings(): string[] {
  const list: string[] = [];
  const listen = (warning: Error & { code?: string }) => void list.push(warning.code ?? '');
  process.on('warning', listen);
  onTestFinished(() => void process.off('warning', listen));
  return list;
}

/** Each application starts minutes after the one before, because a warning is emitted only once a minute. */
let minutes = 0;
async function application() {
  const codes: string[] = [];
  const at = await createTestApp('express5', {
    authkit: {
      routes: { switchOrganization: '/switch' },
      onError: ({ error }) => void codes.push(error.code),
    },
    routes: (app) => {
      app.route('/me', (req, res) => {
        json(res, { user: signedIn(req).user.email });
      });
    },
  });
  advanceMonotonicClock((minutes += 2) * 60_000);
  return { ...at, codes };
}

test('every code of the table is an error code with a page of its own', () => {
  for (const [, , , expected] of ROWS) if (expected !== 'operator') expect(ERROR_CODES).toContain(expected);
});

describe('16G the error answers of WorkOS', () => {
  test.each(ROWS)('at the callback: %i %s %s is %s', async (status, field, name, expected) => {
    const seen = warnings();
    const at = await application();
    const { location } = await at.browser.go(`${at.origin}/login`);
    const callback = await at.workos.authorize(location!, { user: ADA });
    at.workos.fail({ on: 'code', ...faultOf(status, field, name) });
    const reply = await at.browser.go(callback);
    expect(reply.body).not.toContain(SECRET);
    expect(reply.setCookies.filter((line) => /^wos-session[^=]*=[^;]/.test(line))).toEqual([]);
    if (expected === 'operator') {
      expect(reply.status).toBe(503);
      expect(at.codes).toEqual(['upstream_unavailable']);
    } else {
      expect([400, 403]).toContain(reply.status);
      expect(at.codes).toEqual([expected]);
      expect(reply.body).toContain(`href="${at.origin}/login`);
      expect(reply.body).not.toContain('Something went wrong');
    }
    await new Promise(setImmediate);
    expect(seen.includes('AUTHKIT_UPSTREAM')).toBe(expected === 'operator');
  });

  test.each(ROWS)('at a refresh: %i %s %s is %s', async (status, field, name, expected) => {
    const at = await application();
    const cookie = await at.cookie({ user: ADA });
    at.workos.clock.advance(600_000);
    at.workos.fail({ on: 'refresh', ...faultOf(status, field, name) });
    const page = await send(`${at.origin}/account`, { headers: { ...NAVIGATION, cookie } });
    const script = await send(`${at.origin}/account`, { headers: { ...FETCH, cookie } });
    expect(page.body + script.body).not.toContain(SECRET);
    if (expected === 'operator') {
      expect([page.status, script.status]).toEqual([503, 503]);
      expect([...page.setCookies, ...script.setCookies]).toEqual([]);
      return;
    }
    expect([page.status, script.status]).toEqual([302, 401]);
    expect(page.setCookies[0]).toMatch(/^wos-session=; Max-Age=0/);
    expect(page.location).toMatch(`${at.origin}/login?`);
    if (expected === 'organization_unavailable') expect(page.location).not.toContain('organizationId');
    // The rejected token is not sent again.
    expect(at.workos.callsTo('refresh')).toHaveLength(1);
  });

  test.each(ROWS)('at a switch: %i %s %s is %s', async (status, field, name, expected) => {
    const at = await application();
    const cookie = await at.cookie({ user: ADA });
    const down = at.workos.fail({ on: 'refresh', ...faultOf(status, field, name) });
    const reply = await send(`${at.origin}/switch?organizationId=org_other`, {
      method: 'POST',
      headers: { ...FETCH, cookie },
    });
    down.restore();
    const isSessionRefused = expected === 'code_exchange_failed';
    const code = {
      operator: 'upstream_unavailable',
      organization_unavailable: 'forbidden',
      code_exchange_failed: 'unauthenticated',
    }[expected as string];
    expect(at.codes).toEqual([code ?? expected]);
    expect(reply.body).not.toContain(SECRET);
    if (expected === 'operator') expect(reply.status).toBe(503);
    // The session in the current organization continues, unless its refresh token was itself rejected.
    expect(reply.setCookies.some((line) => line.includes('Max-Age=0'))).toBe(isSessionRefused);
    const after = await send(`${at.origin}/account`, { headers: { ...FETCH, cookie } });
    if (!isSessionRefused) expect(after.status).toBe(200);
  });
});

test('R06 a 404 that says nothing about an organization is a mistake of the operator', async () => {
  const at = await application();
  const cookie = await at.cookie({ user: ADA });
  at.workos.clock.advance(600_000);
  for (const body of [
    {},
    { message: 'Not Found' },
    '<html>404</html>',
    [],
    null,
    { entity_id: 7, code: {} },
  ]) {
    const down = at.workos.fail({ on: 'refresh', status: 404, body });
    const reply = await send(`${at.origin}/account`, { headers: { ...FETCH, cookie } });
    expect({ status: reply.status, cookies: reply.setCookies }).toEqual({ status: 503, cookies: [] });
    down.restore();
  }
});

test.each([
  { code: 'entity_not_found', entity_id: 'org_gone', message: 'Not found' },
  { message: "Organization not found: 'org_gone'." },
  { error: 'organization_deleted' },
])(
  '16G a deleted organization ends the session in it, and a sign-in without it is offered: %j',
  async (body) => {
    const at = await application();
    const cookie = await at.cookie({ user: ADA });
    at.workos.clock.advance(600_000);
    at.workos.fail({ on: 'refresh', status: 404, body });
    const reply = await send(`${at.origin}/account`, { headers: { ...FETCH, cookie } });
    expect(reply.status).toBe(401);
    expect(JSON.parse(reply.body)).toMatchObject({ error: 'unauthenticated' });
    expect(reply.setCookies[0]).toMatch(/^wos-session=; Max-Age=0/);
  },
);

test('the body of an answer other than 4xx is not used', async () => {
  const at = await application();
  const cookie = await at.cookie({ user: ADA });
  at.workos.clock.advance(600_000);
  for (const status of [500, 503, 408, 301]) {
    const down = at.workos.fail({ on: 'refresh', status, body: { code: 'sign_up_not_allowed' } });
    const reply = await send(`${at.origin}/account`, { headers: { ...FETCH, cookie } });
    expect({ status: reply.status, cookies: reply.setCookies }).toEqual({ status: 503, cookies: [] });
    down.restore();
  }
});
