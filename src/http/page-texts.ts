/** The title and the text of a page. */
export interface PageText {
  readonly title: string;
  readonly text: string;
}

const OTHER_METHOD = {
  title: 'Please sign in another way',
  text: 'This way of signing in is not allowed for your account. Please sign in again and choose another one.',
};

const IDENTITY_PROVIDER = {
  title: 'Your organization’s sign-in does not work',
  text: 'The connection to your organization’s identity provider is not set up correctly. Please contact its administrator.',
};

const CHALLENGE = {
  title: 'Please confirm that it is you',
  text: 'This sign-in looks unusual and has to be confirmed. Please sign in again and follow the instructions.',
};

const ONE_TIME_CODE = {
  title: 'This code cannot be used',
  text: 'It is wrong, has expired, or has already been used. Please sign in again to get a new code.',
};

const EXPIRED_SIGN_IN = {
  title: 'This sign-in has expired',
  text: 'It took too long, or has already been finished. Please sign in again.',
};

/** The page texts for each error code. The HTTP status of each code is in `errors.ts`. */
export const ERROR_TEXTS = {
  config_invalid: { title: 'Something went wrong', text: 'Please try again later.' },
  not_mounted: { title: 'Something went wrong', text: 'Please try again later.' },
  unauthenticated: { title: 'Please sign in', text: 'You need to be signed in to see this page.' },
  step_up_required: {
    title: 'Please sign in again',
    text: 'This page requires that you have signed in recently.',
  },
  forbidden: {
    title: 'You do not have access',
    text: 'You are signed in, but your account may not open this page.',
  },
  unknown_user: {
    title: 'No account',
    text: 'You are signed in, but this application has no account for you. Please contact its administrator.',
  },
  invalid_request: {
    title: 'This link does not work',
    text: 'The address is incomplete or has been changed.',
  },
  invalid_provider: {
    title: 'This link does not work',
    text: 'This way of signing in is not available here.',
  },
  invalid_state: {
    title: 'This sign-in could not be finished',
    text: 'It was started in another browser, has already been used, or took too long. Please sign in again.',
  },
  access_denied: {
    title: 'Sign-in was cancelled',
    text: 'You are not signed in. You can try again at any time.',
  },
  authorization_failed: {
    title: 'We could not sign you in',
    text: 'The sign-in could not be completed. Please try again.',
  },
  code_exchange_failed: EXPIRED_SIGN_IN,
  invalid_grant: {
    title: 'We could not sign you in',
    text: 'The sign-in could not be completed. Please try again.',
  },
  unsupported_grant_type: {
    title: 'We could not sign you in',
    text: 'The sign-in could not be completed. Please try again.',
  },
  organization_selection_required: {
    title: 'One more step is needed',
    text: 'Your organization requires another step before you can sign in. Please sign in again.',
  },
  email_verification_required: {
    title: 'One more step is needed',
    text: 'Your email address must be verified before you can sign in. Please sign in again.',
  },
  mfa_enrollment: {
    title: 'One more step is needed',
    text: 'A second factor must be set up before you can sign in. Please sign in again.',
  },
  mfa_challenge: {
    title: 'One more step is needed',
    text: 'A second factor is required to sign in. Please sign in again.',
  },
  sso_required: {
    title: 'One more step is needed',
    text: 'Your organization requires you to sign in through its own sign-in page. Please sign in again.',
  },
  sign_in_rejected: {
    title: 'You cannot sign in here',
    text: 'This application did not accept your account.',
  },
  organization_unavailable: {
    title: 'This organization is not available',
    text: 'It no longer exists, or you are not a member of it. Please sign in again to choose another one.',
  },
  sign_up_not_allowed: {
    title: 'Sign-up is not open',
    text: 'There is no account for you yet, and accounts are created by invitation only. Please ask for an invitation.',
  },
  invitation_invalid: {
    title: 'This invitation cannot be used',
    text: 'It has expired, was withdrawn, or has already been accepted. Please ask for a new one, or sign in.',
  },
  invitation_cannot_be_used_for_email: {
    title: 'This invitation is for another address',
    text: 'Please sign in with the email address that the invitation was sent to.',
  },
  authentication_method_not_allowed: OTHER_METHOD,
  email_password_auth_disabled: OTHER_METHOD,
  invalid_connection: IDENTITY_PROVIDER,
  invalid_profile: IDENTITY_PROVIDER,
  extra_attributes_required: {
    title: 'Something is missing from your profile',
    text: 'Your identity provider did not send everything that is needed to sign in. Please contact the administrator of your organization.',
  },
  user_mismatch: {
    title: 'This is another account',
    text: 'The sign-in was started for another user. Please sign in again with the account that you want to use.',
  },
  application_consent_required: {
    title: 'Your consent is needed',
    text: 'You have not allowed this application to use your account. Please sign in again to allow it.',
  },
  passkey_progressive_enrollment: {
    title: 'Please add a passkey',
    text: 'Your account needs a passkey before you can continue. Please sign in again and follow the instructions.',
  },
  mfa_verification: {
    title: 'One more step is needed',
    text: 'A second factor is required to sign in. Please sign in again.',
  },
  radar_challenge: CHALLENGE,
  radar_sign_up_challenge: CHALLENGE,
  invalid_credentials: {
    title: 'You were not signed in',
    text: 'The email address or the password is not correct. Please try again.',
  },
  invalid_one_time_code: ONE_TIME_CODE,
  one_time_code_previously_used: ONE_TIME_CODE,
  one_time_code_expired: ONE_TIME_CODE,
  one_time_code_too_many_attempts: {
    title: 'Too many attempts',
    text: 'A wrong code was entered too often. Please wait a moment and sign in again to get a new code.',
  },
  invalid_pending_authentication_token: EXPIRED_SIGN_IN,
  invalid_link_authorization_code: EXPIRED_SIGN_IN,
  expired_token: EXPIRED_SIGN_IN,
  cookie_too_large: {
    title: 'We could not sign you in',
    text: 'If the problem persists, please contact the site’s administrator.',
  },
  session_lost: {
    title: 'Your sign-in was not kept',
    text:
      'You signed in, but your browser did not keep the sign-in. Please allow cookies for this site and sign in ' +
      'again. If the problem persists, please contact the site’s administrator.',
  },
  sdk_missing: {
    title: 'Sign-in is not available',
    text: 'This application is not installed correctly. Please contact its administrator.',
  },
  upstream_unavailable: {
    title: 'Sign-in is not available right now',
    text: 'We could not sign you in right now. Please try again in a moment.',
  },
} satisfies Record<string, PageText>;

/** The page texts for `invalid_state` errors with a known reason. These texts tell the user what to do. */
const INVALID_STATE_TEXTS = {
  invalid_state_no_cookie: {
    title: ERROR_TEXTS.invalid_state.title,
    text:
      'It was started in another browser, or your browser blocks cookies. Please allow cookies for this site and ' +
      'sign in again.',
  },
  invalid_state_expired: {
    title: ERROR_TEXTS.invalid_state.title,
    text: 'It took too long. Please sign in again.',
  },
  invalid_state_spent: {
    title: ERROR_TEXTS.invalid_state.title,
    text: 'It has already been used. Please sign in again.',
  },
} satisfies Record<string, PageText>;

/** The texts of the pages that routes send, except for error pages. */
const ROUTE_TEXTS = {
  signedIn: { title: 'You are signed in', text: 'You are being taken back to the application.' },
  continueSignIn: { title: 'You are signed in', text: 'Choose Continue to go on to the application.' },
  signOut: { title: 'Sign out?', text: 'Press the button to sign out of this application.' },
  signingOut: { title: 'Signing you out', text: 'You are signed out of this application.' },
  organizationSignIn: { title: 'One more step', text: 'This organization requires its own sign-in.' },
  linkAccount: {
    title: 'Connect an account?',
    text: 'You are about to connect an account of yours with this application.',
  },
} satisfies Record<string, PageText>;

/** Labels of links and buttons. */
export const BUTTON_TEXTS = {
  signIn: 'Sign in',
  start: 'Back to the start',
  continue: 'Continue',
  signOut: 'Sign out',
} as const;

export type ButtonName = keyof typeof BUTTON_TEXTS;

/**
 * The name of a page that this package sends. It is an error code such as `forbidden`, an error code with a reason such
 * as `invalid_state_expired`, or the name of a route's page such as `signOut`.
 */
export type PageName = keyof typeof ERROR_TEXTS | keyof typeof INVALID_STATE_TEXTS | keyof typeof ROUTE_TEXTS;

/** Page texts in the language of the application. Texts that are not set are in English. */
export type PageTexts = { readonly [Name in PageName]?: Partial<PageText> } & {
  /** Labels of links and buttons. */
  readonly buttons?: { readonly [Name in ButtonName]?: string };
};

/** The English texts of all pages. */
export const DEFAULT_TEXTS: Readonly<Record<PageName, PageText>> = {
  ...ERROR_TEXTS,
  ...INVALID_STATE_TEXTS,
  ...ROUTE_TEXTS,
};

/**
 * Returns the page text for an `invalid_state` error with this reason, or `undefined` if there is no text for the
 * reason.
 */
export function invalidStateText(reason: string): string | undefined {
  const name = `invalid_state_${reason}`;
  return isInvalidStateName(name) ? INVALID_STATE_TEXTS[name].text : undefined;
}

/** The properties of an `AuthKitError` that determine which page shows it. */
interface ErrorOfPage {
  readonly code: keyof typeof ERROR_TEXTS;
  readonly details: Readonly<Record<string, unknown>> | undefined;
}

/** Returns the name of the page that shows an error. */
export function pageNameOf({ code, details }: ErrorOfPage): PageName {
  if (code !== 'invalid_state') return code;
  const name = `invalid_state_${String(details?.['reason'])}`;
  return isInvalidStateName(name) ? name : code;
}

/**
 * Returns the title and text of a page. Texts that the application has set take precedence over the English ones. If
 * the application has set a text for `invalid_state` but none for a specific reason, its text for `invalid_state` is
 * used, so the page does not switch to English.
 */
export function textOf(name: PageName, texts: PageTexts): PageText {
  const general = isInvalidStateName(name) ? texts.invalid_state : undefined;
  return { ...DEFAULT_TEXTS[name], ...general, ...texts[name] };
}

function isInvalidStateName(name: string): name is keyof typeof INVALID_STATE_TEXTS {
  return Object.hasOwn(INVALID_STATE_TEXTS, name);
}
