import { createHash } from 'node:crypto';
import type { AuthKitErrorCode } from '../errors.js';
import type { Response } from './middleware.js';
import { noStore } from './response.js';

const STYLE = `:root{color-scheme:light dark}
body{margin:0;min-height:100vh;display:grid;place-items:center;font:1rem/1.6 system-ui,sans-serif;background:Canvas;color:CanvasText}
main{max-width:26rem;padding:2rem 1.5rem}
h1{font-size:1.35rem;line-height:1.3;margin:0 0 .5rem}
p{margin:0 0 1.5rem}
a,button{display:inline-block;font:inherit;padding:.55rem 1.1rem;border:1px solid;border-radius:.5rem;background:none;color:inherit;text-decoration:none;cursor:pointer}
a:focus-visible,button:focus-visible{outline:3px solid Highlight;outline-offset:2px}`;

/** One style, no script, nothing from elsewhere, in no frame; a form goes to this application only. */
const POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

interface Page {
  title: string;
  text: string;
  /** Where the page goes by itself at once. */
  refresh?: string;
  link?: { href: string; label: string };
  /** Fetched from this application before the page goes on, and not seen. */
  image?: string;
  /** A form that posts to `action`. */
  button?: { action: string; label: string };
}

/** Sends a small self-contained page. Everything in it is escaped, and nothing in it comes from a query. */
export function sendPage(res: Response, status: number, page: Page): 'sent' {
  res.statusCode = status;
  res.setHeader('Content-Type', 'text/html; charset=utf-8');
  res.setHeader('Content-Security-Policy', page.image === undefined ? POLICY : `${POLICY}; img-src 'self'`);
  res.setHeader('X-Content-Type-Options', 'nosniff');
  res.setHeader('X-Frame-Options', 'DENY');
  res.setHeader('Referrer-Policy', 'no-referrer');
  return noStore(res, render(page));
}

function render({ title, text, refresh, link, image, button }: Page): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
${refresh === undefined ? '' : `<meta http-equiv="refresh" content="0; url=${escape(refresh)}">`}
<title>${escape(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${escape(title)}</h1>
<p>${escape(text)}</p>
${link ? `<a href="${escape(link.href)}">${escape(link.label)}</a>` : ''}
${image === undefined ? '' : `<img src="${escape(image)}" alt="" hidden>`}
${button ? `<form method="post" action="${escape(button.action)}"><button>${escape(button.label)}</button></form>` : ''}
</main>
</body>
</html>
`;
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

/** What a person reads about an error: what it means for them, and nothing about how it came about. */
export function describe(code: AuthKitErrorCode): { title: string; text: string } {
  return (
    PROSE[code] ?? {
      title: 'Something went wrong',
      text: 'The sign-in could not be completed. Please try again.',
    }
  );
}

const ONE_MORE_STEP = {
  title: 'One more step is needed',
  text: 'Your organization asks for another step before you can sign in. Please sign in again.',
};

const OTHER_METHOD = {
  title: 'Please sign in another way',
  text: 'This way to sign in is not allowed for your account. Please sign in again and choose another one.',
};

const IDENTITY_PROVIDER = {
  title: 'Your organization’s sign-in does not work',
  text: 'The connection to the identity provider of your organization is not set up correctly. Please contact its administrator.',
};

const CHALLENGE = {
  title: 'Please confirm that it is you',
  text: 'This sign-in looks unusual and has to be confirmed. Please sign in again and follow the instructions.',
};

const CODE = {
  title: 'This code cannot be used',
  text: 'It is wrong, has expired, or has been used already. Please sign in again to get a new code.',
};

const TOOK_TOO_LONG = {
  title: 'This sign-in has expired',
  text: 'It took too long, or was finished already. Please sign in again.',
};

const PROSE: Partial<Record<AuthKitErrorCode, { title: string; text: string }>> = {
  unauthenticated: { title: 'Please sign in', text: 'You need to be signed in to see this page.' },
  step_up_required: { title: 'Please sign in again', text: 'This page asks for a recent sign-in.' },
  forbidden: {
    title: 'You do not have access',
    text: 'You are signed in, but this page is not open to your account.',
  },
  invalid_request: {
    title: 'This link does not work',
    text: 'Something in the address is not as it should be.',
  },
  invalid_provider: { title: 'This link does not work', text: 'There is no such way to sign in.' },
  invalid_state: {
    title: 'This sign-in could not be finished',
    text: 'It was started in another browser, has been used already, or took too long. Please sign in again.',
  },
  access_denied: {
    title: 'Sign-in was cancelled',
    text: 'You were not signed in. You can try again at any time.',
  },
  sign_in_rejected: {
    title: 'You cannot sign in here',
    text: 'This application did not accept your account.',
  },
  organization_unavailable: {
    title: 'This organization is not available',
    text: 'It does not exist any more, or you are not a member of it. Please sign in again to choose another one.',
  },
  sign_up_not_allowed: {
    title: 'Sign-up is not open',
    text: 'There is no account for you yet, and accounts are created by invitation only. Please ask for an invitation.',
  },
  invitation_invalid: {
    title: 'This invitation cannot be used',
    text: 'It has expired, was withdrawn, or has been accepted already. Please ask for a new one, or sign in.',
  },
  invitation_cannot_be_used_for_email: {
    title: 'This invitation is for another address',
    text: 'Please sign in with the e-mail address that the invitation was sent to.',
  },
  authentication_method_not_allowed: OTHER_METHOD,
  email_password_auth_disabled: OTHER_METHOD,
  passkey_progressive_enrollment: {
    title: 'Please add a passkey',
    text: 'Your account needs a passkey before you can go on. Please sign in again and follow the instructions.',
  },
  invalid_connection: IDENTITY_PROVIDER,
  invalid_profile: IDENTITY_PROVIDER,
  extra_attributes_required: {
    title: 'Something is missing from your profile',
    text: 'Your identity provider did not send everything that is needed to sign in. Please contact the administrator of your organization.',
  },
  user_mismatch: {
    title: 'This is another account',
    text: 'The sign-in was begun for another user. Please sign in again, with the account that you want to use.',
  },
  application_consent_required: {
    title: 'Your consent is needed',
    text: 'You have not allowed this application to use your account. Please sign in again to allow it.',
  },
  mfa_verification: ONE_MORE_STEP,
  radar_challenge: CHALLENGE,
  radar_sign_up_challenge: CHALLENGE,
  invalid_credentials: {
    title: 'You were not signed in',
    text: 'The e-mail address or the password is not correct. Please try again.',
  },
  invalid_one_time_code: CODE,
  one_time_code_previously_used: CODE,
  one_time_code_expired: CODE,
  one_time_code_too_many_attempts: {
    title: 'Too many attempts',
    text: 'A wrong code was entered too often. Please wait a moment and sign in again to get a new code.',
  },
  invalid_pending_authentication_token: TOOK_TOO_LONG,
  invalid_link_authorization_code: TOOK_TOO_LONG,
  expired_token: TOOK_TOO_LONG,
  code_exchange_failed: TOOK_TOO_LONG,
  session_lost: {
    title: 'Your sign-in was not kept',
    text: 'You signed in, but this browser did not hold on to it. Please allow cookies for this site and sign in again. If that does not help, the site itself has to be mended.',
  },
  organization_selection_required: ONE_MORE_STEP,
  email_verification_required: ONE_MORE_STEP,
  mfa_enrollment: ONE_MORE_STEP,
  mfa_challenge: ONE_MORE_STEP,
  sso_required: ONE_MORE_STEP,
  sdk_missing: {
    title: 'Sign-in is not available',
    text: 'This application is not installed correctly. Please contact its administrator.',
  },
  upstream_unavailable: {
    title: 'Sign-in is not available right now',
    text: 'You are not signed out. Please try again in a moment.',
  },
};
