/** The documentation page with a section for each code, on the site that is `homepage` in package.json. */
const TROUBLESHOOTING = 'https://authkit-express.github.io/authkit-express/troubleshooting';

const OTHER_METHOD = [
  403,
  'Please sign in another way',
  'This way of signing in is not allowed for your account. Please sign in again and choose another one.',
] as const;

const IDENTITY_PROVIDER = [
  403,
  'Your organization’s sign-in does not work',
  'The connection to your organization’s identity provider is not set up correctly. Please contact its administrator.',
] as const;

const CHALLENGE = [
  403,
  'Please confirm that it is you',
  'This sign-in looks unusual and has to be confirmed. Please sign in again and follow the instructions.',
] as const;

const ONE_TIME_CODE = [
  400,
  'This code cannot be used',
  'It is wrong, has expired, or has already been used. Please sign in again to get a new code.',
] as const;

const EXPIRED_SIGN_IN = [
  400,
  'This sign-in has expired',
  'It took too long, or has already been finished. Please sign in again.',
] as const;

/** For each code: the HTTP status of the response, and the title and text of the page that a user sees. */
const CODES = {
  config_invalid: [500, 'Something went wrong', 'Please try again later.'],
  not_mounted: [500, 'Something went wrong', 'Please try again later.'],
  unauthenticated: [401, 'Please sign in', 'You need to be signed in to see this page.'],
  step_up_required: [401, 'Please sign in again', 'This page requires that you have signed in recently.'],
  forbidden: [403, 'You do not have access', 'You are signed in, but your account may not open this page.'],
  unknown_user: [
    403,
    'No account',
    'You are signed in, but this application has no account for you. Please contact its administrator.',
  ],
  invalid_request: [400, 'This link does not work', 'The address is incomplete or has been changed.'],
  invalid_provider: [400, 'This link does not work', 'This way of signing in is not available here.'],
  invalid_state: [
    400,
    'This sign-in could not be finished',
    'It was started in another browser, has already been used, or took too long. Please sign in again.',
  ],
  access_denied: [403, 'Sign-in was cancelled', 'You are not signed in. You can try again at any time.'],
  authorization_failed: [
    400,
    'We could not sign you in',
    'The sign-in could not be completed. Please try again.',
  ],
  code_exchange_failed: EXPIRED_SIGN_IN,
  invalid_grant: [400, 'We could not sign you in', 'The sign-in could not be completed. Please try again.'],
  unsupported_grant_type: [
    400,
    'We could not sign you in',
    'The sign-in could not be completed. Please try again.',
  ],
  organization_selection_required: [
    403,
    'One more step is needed',
    'Your organization requires another step before you can sign in. Please sign in again.',
  ],
  email_verification_required: [
    403,
    'One more step is needed',
    'Your e-mail address must be verified before you can sign in. Please sign in again.',
  ],
  mfa_enrollment: [
    403,
    'One more step is needed',
    'A second factor must be set up before you can sign in. Please sign in again.',
  ],
  mfa_challenge: [
    403,
    'One more step is needed',
    'A second factor is required to sign in. Please sign in again.',
  ],
  sso_required: [
    403,
    'One more step is needed',
    'Your organization requires you to sign in through its own sign-in page. Please sign in again.',
  ],
  sign_in_rejected: [403, 'You cannot sign in here', 'This application did not accept your account.'],
  organization_unavailable: [
    403,
    'This organization is not available',
    'It no longer exists, or you are not a member of it. Please sign in again to choose another one.',
  ],
  sign_up_not_allowed: [
    403,
    'Sign-up is not open',
    'There is no account for you yet, and accounts are created by invitation only. Please ask for an invitation.',
  ],
  invitation_invalid: [
    403,
    'This invitation cannot be used',
    'It has expired, was withdrawn, or has already been accepted. Please ask for a new one, or sign in.',
  ],
  invitation_cannot_be_used_for_email: [
    403,
    'This invitation is for another address',
    'Please sign in with the e-mail address that the invitation was sent to.',
  ],
  authentication_method_not_allowed: OTHER_METHOD,
  email_password_auth_disabled: OTHER_METHOD,
  invalid_connection: IDENTITY_PROVIDER,
  invalid_profile: IDENTITY_PROVIDER,
  extra_attributes_required: [
    403,
    'Something is missing from your profile',
    'Your identity provider did not send everything that is needed to sign in. Please contact the administrator of your organization.',
  ],
  user_mismatch: [
    403,
    'This is another account',
    'The sign-in was started for another user. Please sign in again with the account that you want to use.',
  ],
  application_consent_required: [
    403,
    'Your consent is needed',
    'You have not allowed this application to use your account. Please sign in again to allow it.',
  ],
  passkey_progressive_enrollment: [
    403,
    'Please add a passkey',
    'Your account needs a passkey before you can continue. Please sign in again and follow the instructions.',
  ],
  mfa_verification: [
    403,
    'One more step is needed',
    'A second factor is required to sign in. Please sign in again.',
  ],
  radar_challenge: CHALLENGE,
  radar_sign_up_challenge: CHALLENGE,
  invalid_credentials: [
    400,
    'You were not signed in',
    'The e-mail address or the password is not correct. Please try again.',
  ],
  invalid_one_time_code: ONE_TIME_CODE,
  one_time_code_previously_used: ONE_TIME_CODE,
  one_time_code_expired: ONE_TIME_CODE,
  one_time_code_too_many_attempts: [
    400,
    'Too many attempts',
    'A wrong code was entered too often. Please wait a moment and sign in again to get a new code.',
  ],
  invalid_pending_authentication_token: EXPIRED_SIGN_IN,
  invalid_link_authorization_code: EXPIRED_SIGN_IN,
  expired_token: EXPIRED_SIGN_IN,
  cookie_too_large: [
    500,
    'We could not sign you in',
    'If the problem persists, please contact the site’s administrator.',
  ],
  session_lost: [
    400,
    'Your sign-in was not kept',
    'You signed in, but your browser did not keep the sign-in. Please allow cookies for this site and sign in ' +
      'again. If the problem persists, please contact the site’s administrator.',
  ],
  sdk_missing: [
    500,
    'Sign-in is not available',
    'This application is not installed correctly. Please contact its administrator.',
  ],
  upstream_unavailable: [
    503,
    'Sign-in is not available right now',
    'We could not sign you in right now. Please try again in a moment.',
  ],
} as const satisfies Record<string, readonly [status: number, title: string, text: string]>;

/** Identifies what went wrong, in `error.code` and in JSON responses. */
export type AuthKitErrorCode = keyof typeof CODES;

export const ERROR_CODES = Object.keys(CODES) as readonly AuthKitErrorCode[];

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
  /** Response headers that belong to this error, e.g. `Retry-After`. */
  headers?: Record<string, string>;
  /** More about the error, for the application. It may contain secrets, so it is not enumerable. */
  details?: Readonly<Record<string, unknown>>;
  /** `error_description` of RFC 6749 section 4.1.2.1, as received: untrusted text. */
  description?: string;
  /** Text for the user, instead of the default text for the code. */
  publicMessage?: string;
}

/**
 * The error class of this package. Express's default error handler reads `status`, `statusCode` and `headers`.
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
  /** HTTP status of the response. */
  readonly status: number;
  /** The same as `status`, under the name that http-errors uses. */
  readonly statusCode: number;
  /** Text that can be shown to the user, in plain words; `message` is for developers. */
  readonly publicMessage: string;
  /** Response headers that belong to this error. */
  readonly headers: Readonly<Record<string, string>>;
  /** Whether the same request may succeed if it is retried a little later. */
  readonly retryable: boolean;
  /** URL of the documentation for this code. */
  readonly docs: string;
  /**
   * More about the error: fields of WorkOS's response, or the `problems` of an invalid configuration. Not enumerable,
   * because it may contain a `pending_authentication_token`.
   */
  declare readonly details: Readonly<Record<string, unknown>> | undefined;
  /** `error_description` from WorkOS or the identity provider, untrusted. Not enumerable. */
  declare readonly description: string | undefined;

  constructor(code: AuthKitErrorCode, message: string, options: AuthKitErrorOptions = {}) {
    // Without a prototype, so that a polluted Object.prototype supplies no text for the user.
    const own = Object.assign(Object.create(null) as AuthKitErrorOptions, options);
    super(message, own.cause === undefined ? undefined : { cause: own.cause });
    const [status, , text] = CODES[code];
    this.code = code;
    this.status = status;
    this.statusCode = status;
    this.publicMessage = own.publicMessage ?? text;
    this.headers = Object.freeze({ ...challenge(status), ...own.headers });
    this.docs = `${TROUBLESHOOTING}#${code}`;
    this.retryable = code === 'upstream_unavailable';
    Object.defineProperty(this, 'details', { value: own.details, enumerable: false });
    Object.defineProperty(this, 'description', { value: own.description, enumerable: false });
  }
}

/** The title and text of the page for an error with this code. */
export function pageTextOf(code: AuthKitErrorCode): { readonly title: string; readonly text: string } {
  const [, title, text] = CODES[code];
  return { title, text };
}

/** RFC 9110 section 11.6.1: a 401 response must name an authentication scheme. */
function challenge(status: number): Record<string, string> {
  return status === 401 ? { 'WWW-Authenticate': 'Bearer' } : {};
}

/** Creates the error for an outage, for example of WorkOS. `retryAfter` is in seconds: 5 by default, and at most 60. */
export function unavailable(message: string, options: { retryAfter?: number; cause?: unknown } = {}) {
  const own = Object.assign(Object.create(null) as typeof options, options);
  const seconds = Math.min(60, Math.max(1, Math.ceil(own.retryAfter ?? 5)));
  return new AuthKitError('upstream_unavailable', message, {
    headers: { 'Retry-After': String(seconds) },
    cause: own.cause,
  });
}
