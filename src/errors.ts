import { ERROR_TEXTS } from './http/page-texts.js';

/**
 * The URL of the documentation page that has a section for each error code. The page belongs to the site that
 * package.json names as `homepage`.
 */
const TROUBLESHOOTING = 'https://authkit-express.github.io/authkit-express/troubleshooting';

/** The HTTP response status for each error code. The texts that users see are in `http/page-texts.ts`. */
const STATUSES = {
  config_invalid: 500,
  not_mounted: 500,
  unauthenticated: 401,
  step_up_required: 401,
  forbidden: 403,
  unknown_user: 403,
  invalid_request: 400,
  invalid_provider: 400,
  invalid_state: 400,
  access_denied: 403,
  authorization_failed: 400,
  code_exchange_failed: 400,
  invalid_grant: 400,
  unsupported_grant_type: 400,
  organization_selection_required: 403,
  email_verification_required: 403,
  mfa_enrollment: 403,
  mfa_challenge: 403,
  sso_required: 403,
  sign_in_rejected: 403,
  organization_unavailable: 403,
  sign_up_not_allowed: 403,
  invitation_invalid: 403,
  invitation_cannot_be_used_for_email: 403,
  authentication_method_not_allowed: 403,
  email_password_auth_disabled: 403,
  invalid_connection: 403,
  invalid_profile: 403,
  extra_attributes_required: 403,
  user_mismatch: 403,
  application_consent_required: 403,
  passkey_progressive_enrollment: 403,
  mfa_verification: 403,
  radar_challenge: 403,
  radar_sign_up_challenge: 403,
  invalid_credentials: 400,
  invalid_one_time_code: 400,
  one_time_code_previously_used: 400,
  one_time_code_expired: 400,
  one_time_code_too_many_attempts: 400,
  invalid_pending_authentication_token: 400,
  invalid_link_authorization_code: 400,
  expired_token: 400,
  cookie_too_large: 500,
  session_lost: 400,
  sdk_missing: 500,
  upstream_unavailable: 503,
} as const satisfies Record<keyof typeof ERROR_TEXTS, number>;

/** Identifies what went wrong. This is the `code` property of an error, and the `error` field of a JSON response. */
export type AuthKitErrorCode = keyof typeof STATUSES;

export const ERROR_CODES = Object.keys(STATUSES) as readonly AuthKitErrorCode[];

/** The steps that WorkOS can require before it completes an authentication. */
const UNFINISHED = [
  'organization_selection_required',
  'email_verification_required',
  'mfa_enrollment',
  'mfa_challenge',
  'sso_required',
] as const satisfies readonly AuthKitErrorCode[];

export type UnfinishedCode = (typeof UNFINISHED)[number];

export function isUnfinished(code: unknown): code is UnfinishedCode {
  return (UNFINISHED as readonly unknown[]).includes(code);
}

export interface AuthKitErrorOptions {
  /** The error that caused this one. */
  cause?: unknown;
  /** Response headers that belong to this error, such as `Retry-After`. */
  headers?: Record<string, string>;
  /**
   * Further information about the error, intended for the application. It may contain secrets, so the error's `details`
   * property is not enumerable.
   */
  details?: Readonly<Record<string, unknown>>;
  /**
   * The `error_description` that WorkOS or the identity provider sent (RFC 6749 section 4.1.2.1). It is untrusted text.
   */
  description?: string;
  /** The text that is shown to the user instead of the default text for the error code. */
  publicMessage?: string;
}

/**
 * The error class of this package. Express's default error handler uses the properties `status`, `statusCode` and
 * `headers`.
 *
 * @example
 * app.use((error, req, res, next) => {
 *   if (error instanceof AuthKitError && error.code === 'forbidden') return res.render('forbidden');
 *   next(error);
 * });
 */
export class AuthKitError extends Error {
  override readonly name = 'AuthKitError';
  readonly code: AuthKitErrorCode;
  /** The HTTP status of the response. */
  readonly status: number;
  /** The same value as `status`. Errors from the http-errors package have both properties too. */
  readonly statusCode: number;
  /** Text that can be shown to the user. The text in `message` is intended for developers. */
  readonly publicMessage: string;
  /** Response headers that belong to this error. */
  readonly headers: Readonly<Record<string, string>>;
  /** Whether the same request may succeed if it is retried a little later. */
  readonly retryable: boolean;
  /** The URL of the documentation for this error code. */
  readonly docs: string;
  /**
   * Further information about the error, such as fields of WorkOS's response, or the `problems` in an invalid
   * configuration. The property is not enumerable, because it may contain a `pending_authentication_token`.
   */
  declare readonly details: Readonly<Record<string, unknown>> | undefined;
  /**
   * The `error_description` from WorkOS or the identity provider. It is untrusted text, and the property is not
   * enumerable.
   */
  declare readonly description: string | undefined;

  /** @throws {TypeError} if `code` is not an error code of this package. */
  constructor(code: AuthKitErrorCode, message: string, options: AuthKitErrorOptions = {}) {
    if (!isCode(code)) throw unknownCode(code);
    // The copy has no prototype, so a polluted `Object.prototype` cannot supply a message for the user.
    const own = Object.assign(Object.create(null) as AuthKitErrorOptions, options);
    super(message, own.cause === undefined ? undefined : { cause: own.cause });
    const status = STATUSES[code];
    this.code = code;
    this.status = status;
    this.statusCode = status;
    this.publicMessage = own.publicMessage ?? ERROR_TEXTS[code].text;
    this.headers = Object.freeze({ ...challenge(status), ...own.headers });
    this.docs = `${TROUBLESHOOTING}#${code}`;
    this.retryable = code === 'upstream_unavailable';
    Object.defineProperty(this, 'details', { value: own.details, enumerable: false });
    Object.defineProperty(this, 'description', { value: own.description, enumerable: false });
  }
}

function isCode(code: unknown): boolean {
  return typeof code === 'string' && Object.hasOwn(STATUSES, code);
}

function unknownCode(code: unknown): TypeError {
  const shown = typeof code === 'string' ? JSON.stringify(code.slice(0, 64)) : typeof code;
  return new TypeError(
    `AuthKitError has no code ${shown}: its codes are listed at ${TROUBLESHOOTING}. For an error of your own, use ` +
      'another class, with a status property',
  );
}

/**
 * Returns the `WWW-Authenticate` header that a 401 response must have (RFC 9110 section 11.6.1). For any other status,
 * the result is empty.
 */
function challenge(status: number): Record<string, string> {
  return status === 401 ? { 'WWW-Authenticate': 'Bearer' } : {};
}

/**
 * Creates an `upstream_unavailable` error, for example during a WorkOS outage. `retryAfter` is the number of seconds
 * after which the client can try again. The default is 5, and the maximum is 60.
 */
export function unavailable(message: string, options: { retryAfter?: number; cause?: unknown } = {}) {
  const own = Object.assign(Object.create(null) as typeof options, options);
  const seconds = Math.min(60, Math.max(1, Math.ceil(own.retryAfter ?? 5)));
  return new AuthKitError('upstream_unavailable', message, {
    headers: { 'Retry-After': String(seconds) },
    cause: own.cause,
  });
}
