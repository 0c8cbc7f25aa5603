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

const PROSE: Partial<Record<AuthKitErrorCode, { title: string; text: string }>> = {
  unauthenticated: { title: 'Please sign in', text: 'You need to be signed in to see this page.' },
  step_up_required: { title: 'Please sign in again', text: 'This page asks for a recent sign-in.' },
  forbidden: {
    title: 'You do not have access',
    text: 'You are signed in, but this page is not open to your account.',
  },
  unknown_user: {
    title: 'No account',
    text: 'You are signed in, but this application has no account for you. Please contact its administrator.',
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
  session_lost: {
    title: 'Your sign-in was not kept',
    text: 'You signed in, but this browser did not hold on to it. Please allow cookies for this site and sign in again. If that does not help, the site itself has to be mended.',
  },
  organization_selection_required: ONE_MORE_STEP,
  email_verification_required: ONE_MORE_STEP,
  mfa_enrollment: ONE_MORE_STEP,
  mfa_challenge: ONE_MORE_STEP,
  sso_required: ONE_MORE_STEP,
  upstream_unavailable: {
    title: 'Sign-in is not available right now',
    text: 'You are not signed out. Please try again in a moment.',
  },
};
