/**
 * Decides what an error response from WorkOS means for the user. How long calls pause after a 429 response is decided
 * in `rate-limit-and-circuit-breaker.ts`.
 */

import { AuthKitError, type AuthKitErrorCode } from '../errors.js';
import type { UpstreamError } from './fetch.js';

/** What an error response from WorkOS means. */
export type ErrorAnswer =
  /** The response is about the user, the session or the organization. The request is refused with a specific error. */
  | { readonly kind: 'refused'; readonly error: AuthKitError }
  /** There is a mistake in the configuration of the app or of WorkOS, which users cannot fix. */
  | { readonly kind: 'misconfigured' }
  /** WorkOS has failed or asks for a pause. The body of the response is not used. */
  | { readonly kind: 'unavailable' };

/**
 * Errors of `POST /user_management/authenticate` that are about the user, by the `code` or `error` field of the
 * response.
 *
 * @see https://workos.com/docs/reference/authkit/authentication-errors
 */
const ABOUT_USER: Readonly<Record<string, readonly [code: AuthKitErrorCode, message: string]>> = {
  organization_selection_required: nextStep('organization_selection_required'),
  email_verification_required: nextStep('email_verification_required'),
  mfa_enrollment: nextStep('mfa_enrollment'),
  mfa_challenge: nextStep('mfa_challenge'),
  sso_required: nextStep('sso_required'),
  // A sign-in through the organization's SSO connection meets the organization's requirement.
  organization_authentication_methods_required: nextStep('sso_required'),
  invalid_grant: ['code_exchange_failed', 'WorkOS refused the code or the refresh token'],
  code_challenge_not_found: ['code_exchange_failed', 'WorkOS has no PKCE challenge for this code'],
  access_denied: ['access_denied', 'the user or an administrator denied access'],
  sign_up_not_allowed: ['sign_up_not_allowed', 'the WorkOS environment does not allow sign-up for this user'],
  invitation_invalid: [
    'invitation_invalid',
    'the invitation has expired, was revoked or was accepted already',
  ],
  invitation_cannot_be_used_for_email: [
    'invitation_cannot_be_used_for_email',
    'the invitation is for another email address',
  ],
  authentication_method_not_allowed: [
    'authentication_method_not_allowed',
    'the WorkOS environment or the organization does not allow this authentication method',
  ],
  email_password_auth_disabled: [
    'email_password_auth_disabled',
    'sign-in with a password is disabled in the WorkOS environment',
  ],
  invalid_connection: ['invalid_connection', 'the SSO connection of the organization is not active'],
  invalid_profile: ['invalid_profile', 'the identity provider sent a profile that WorkOS cannot use'],
  extra_attributes_required: [
    'extra_attributes_required',
    'the identity provider did not send an attribute that WorkOS needs',
  ],
  user_mismatch: [
    'user_mismatch',
    'the sign-in was completed by a different user than the one who started it',
  ],
  application_consent_required: [
    'application_consent_required',
    'the user has not given this application the consent that WorkOS asks for',
  ],
  passkey_progressive_enrollment: [
    'passkey_progressive_enrollment',
    'WorkOS asks the user to register a passkey first',
  ],
  mfa_verification: ['mfa_verification', 'the second factor was not verified'],
  radar_challenge: ['radar_challenge', 'WorkOS Radar asks the user to verify this sign-in'],
  radar_sign_up_challenge: ['radar_sign_up_challenge', 'WorkOS Radar asks the user to verify this sign-up'],
  invalid_credentials: ['invalid_credentials', 'the credentials are wrong'],
  invalid_one_time_code: ['invalid_one_time_code', 'the one-time code is wrong'],
  one_time_code_previously_used: ['one_time_code_previously_used', 'the one-time code was used already'],
  one_time_code_expired: ['one_time_code_expired', 'the one-time code has expired'],
  one_time_code_too_many_attempts: [
    'one_time_code_too_many_attempts',
    'a wrong one-time code was entered too often',
  ],
  invalid_pending_authentication_token: [
    'invalid_pending_authentication_token',
    'the pending authentication has expired or was completed already',
  ],
  invalid_link_authorization_code: [
    'invalid_link_authorization_code',
    'the code that links two accounts has expired or was used already',
  ],
  expired_token: ['expired_token', 'the authorization of the device has expired'],
};

/** Errors that only an operator can resolve, and errors of grants that this package does not use. */
const MISCONFIGURED: readonly unknown[] = [
  'invalid_client',
  'unauthorized_client',
  'pkce_not_supported',
  'invalid_request_parameters',
  'authorization_pending',
  'slow_down',
  'daily_quota_exceeded',
];

function nextStep(code: AuthKitErrorCode): [AuthKitErrorCode, string] {
  return [code, 'WorkOS requires one more step for this sign-in'];
}

/** Decides what an error response of `POST /user_management/authenticate` or of the SSO API means. */
export function classifyErrorAnswer(answer: UpstreamError): ErrorAnswer {
  const { status, body } = answer;
  if (!isRefusal(status)) {
    // If the daily quota of the environment is used up, an operator must act.
    return { kind: status === 429 && hasMisconfiguredCode(answer) ? 'misconfigured' : 'unavailable' };
  }
  const word = wordOf(body);
  const known = typeof word === 'string' && Object.hasOwn(ABOUT_USER, word) ? ABOUT_USER[word] : undefined;
  if (known) return refused(known[0], known[1], body);
  if (!hasMisconfiguredCode(answer) && isAboutOrganization(answer))
    return refused(
      'organization_unavailable',
      'the organization does not exist or is not open to the user',
      body,
    );
  return { kind: 'misconfigured' };
}

function hasMisconfiguredCode({ body }: UpstreamError): boolean {
  return MISCONFIGURED.includes(wordOf(body));
}

/** Whether a status is a 4xx status that is about the request itself. 408 (timeout) and 429 (rate limit) are not. */
export function isRefusal(status: number | undefined): boolean {
  return status !== undefined && status >= 400 && status < 500 && status !== 408 && status !== 429;
}

/** Whether a status means that WorkOS accepted the app's credentials but refused the request. */
export function isRequestRefused(status: number | undefined): boolean {
  return status === 400 || status === 403 || status === 404 || status === 422;
}

/**
 * Whether an error response to a refresh for a requested organization refuses that organization. A response that does
 * not say what it is about counts too, because this result only refuses the switch and does not end the session.
 */
export function isRequestedOrganizationRefused(answer: UpstreamError): boolean {
  return !hasMisconfiguredCode(answer) && isRequestRefused(answer.status);
}

function wordOf({ code, error }: Readonly<Record<string, unknown>>): unknown {
  return typeof code === 'string' ? code : error;
}

/**
 * Whether an error is about the organization: `invalid_organization_id`, `organization_not_authorized`, or a 404 for an
 * organization. WorkOS reports these errors in several formats, and all of them are recognized.
 */
function isAboutOrganization({ status, body }: UpstreamError): boolean {
  const { code, error, message, error_description: description, entity_id: entity } = body;
  if (status === 401) return false;
  if (typeof entity === 'string' && entity.startsWith('org_')) return true;
  const names = status === 404 ? [code, error, message, description] : [code, error];
  return names.some((text) => typeof text === 'string' && /organization/i.test(text));
}

function refused(
  code: AuthKitErrorCode,
  message: string,
  body: Readonly<Record<string, unknown>>,
): Extract<ErrorAnswer, { kind: 'refused' }> {
  const description = body['error_description'];
  return {
    kind: 'refused',
    error: new AuthKitError(code, message, {
      details: body,
      ...(typeof description === 'string' ? { description } : {}),
    }),
  };
}
