/** Every code, with the HTTP status it answers with. */
const STATUS = {
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
  cookie_too_large: 500,
  session_lost: 400,
  upstream_unavailable: 503,
} as const;

/** What went wrong, as one word: the same in `error.code` and in a JSON answer. */
export type AuthKitErrorCode = keyof typeof STATUS;

export const ERROR_CODES = Object.keys(STATUS) as readonly AuthKitErrorCode[];

/** What an authentication still needs before WorkOS finishes it. */
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
  /** What led here, if it was an error itself. */
  cause?: unknown;
  /** Response headers that belong to this answer, e.g. `Retry-After`. */
  headers?: Record<string, string>;
  /** What WorkOS sent along, for the application. It may hold secrets: not enumerable. */
  details?: Readonly<Record<string, unknown>>;
  /** `error_description` of RFC 6749 section 4.1.2.1, as it came: untrusted text. */
  description?: string;
}

/**
 * The one error of this package. Express's own error handler reads `status` and `headers` from it.
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
  /** HTTP status to answer with. */
  readonly status: number;
  /** Response headers that belong to this answer. */
  readonly headers: Readonly<Record<string, string>>;
  /** Whether the same request can succeed a little later. */
  readonly retryable: boolean;
  /** Page about this code, in this package. */
  readonly docs: string;
  /** What WorkOS sent along, or the `problems` of a configuration. Not enumerable, since it may hold a `pending_authentication_token`. */
  declare readonly details: Readonly<Record<string, unknown>> | undefined;
  /** `error_description` from WorkOS or the identity provider, untrusted. Not enumerable. */
  declare readonly description: string | undefined;

  constructor(code: AuthKitErrorCode, message: string, options: AuthKitErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.status = STATUS[code];
    this.headers = Object.freeze({ ...challenge(this.status), ...options.headers });
    this.docs = `authkit-express/docs/troubleshooting.md#${code}`;
    this.retryable = code === 'upstream_unavailable';
    Object.defineProperty(this, 'details', { value: options.details, enumerable: false });
    Object.defineProperty(this, 'description', { value: options.description, enumerable: false });
  }
}

/** RFC 9110 section 11.6.1: a 401 always names a scheme. */
function challenge(status: number): Record<string, string> {
  return status === 401 ? { 'WWW-Authenticate': 'Bearer' } : {};
}

/** WorkOS, or its keys, cannot be asked now: wait, then ask again. */
export function unavailable(message: string, options: { retryAfter?: number; cause?: unknown } = {}) {
  const seconds = Math.min(60, Math.max(1, Math.ceil(options.retryAfter ?? 5)));
  return new AuthKitError('upstream_unavailable', message, {
    headers: { 'Retry-After': String(seconds) },
    cause: options.cause,
  });
}
