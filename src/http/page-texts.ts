import { type AuthKitError, type AuthKitErrorCode, ERROR_CODES, pageTextOf } from '../errors.js';

/** The title and the text of a page. */
export interface PageText {
  readonly title: string;
  readonly text: string;
}

/** Pages for an `invalid_state` whose reason says what the user can do. */
const INVALID_STATE_TEXTS = {
  invalid_state_no_cookie: {
    title: pageTextOf('invalid_state').title,
    text:
      'It was started in another browser, or your browser blocks cookies. Please allow cookies for this site and ' +
      'sign in again.',
  },
  invalid_state_expired: {
    title: pageTextOf('invalid_state').title,
    text: 'It took too long. Please sign in again.',
  },
  invalid_state_spent: {
    title: pageTextOf('invalid_state').title,
    text: 'It has already been used. Please sign in again.',
  },
} as const satisfies Record<string, PageText>;

/** Pages of routes, other than error pages. */
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
} as const satisfies Record<string, PageText>;

/** Labels of links and buttons. */
export const BUTTON_TEXTS = {
  signIn: 'Sign in',
  start: 'Back to the start',
  continue: 'Continue',
  signOut: 'Sign out',
} as const;

export type ButtonName = keyof typeof BUTTON_TEXTS;

/** A page of this package: the code of an error, or a page of a route. */
export type PageName = AuthKitErrorCode | keyof typeof INVALID_STATE_TEXTS | keyof typeof ROUTE_TEXTS;

/** The texts of pages in the language of the application. Texts that are not set are in English. */
export type PageTexts = { readonly [Name in PageName]?: Partial<PageText> } & {
  /** Labels of links and buttons. */
  readonly buttons?: { readonly [Name in ButtonName]?: string };
};

/** The English text of every page. */
export const DEFAULT_TEXTS: Readonly<Record<PageName, PageText>> = {
  ...(Object.fromEntries(ERROR_CODES.map((code) => [code, pageTextOf(code)])) as Record<
    AuthKitErrorCode,
    PageText
  >),
  ...INVALID_STATE_TEXTS,
  ...ROUTE_TEXTS,
};

/** The text of the page for an `invalid_state`, if its reason tells the user what to do. */
export function invalidStateText(reason: string): string | undefined {
  const name = `invalid_state_${reason}`;
  return isInvalidStateName(name) ? INVALID_STATE_TEXTS[name].text : undefined;
}

/** The page that shows an error. */
export function pageNameOf({ code, details }: AuthKitError): PageName {
  if (code !== 'invalid_state') return code;
  const name = `invalid_state_${String(details?.['reason'])}`;
  return isInvalidStateName(name) ? name : code;
}

/**
 * The title and text of a page: those of the application, or else the English ones. The pages for a reason of
 * `invalid_state` fall back to the application's text for `invalid_state`, so that they are never in a different
 * language.
 */
export function textOf(name: PageName, texts: PageTexts): PageText {
  const general = isInvalidStateName(name) ? texts.invalid_state : undefined;
  return { ...DEFAULT_TEXTS[name], ...general, ...texts[name] };
}

function isInvalidStateName(name: string): name is keyof typeof INVALID_STATE_TEXTS {
  return Object.hasOwn(INVALID_STATE_TEXTS, name);
}
