import { createHash } from 'node:crypto';
import type { Response } from './middleware.js';
import { noStore } from './response.js';

const STYLE = `:root{color-scheme:light dark}
body{margin:0;min-height:100vh;display:grid;place-items:center;font:1rem/1.6 system-ui,sans-serif;background:Canvas;color:CanvasText}
main{max-width:26rem;padding:2rem 1.5rem}
h1{font-size:1.35rem;line-height:1.3;margin:0 0 .5rem}
p{margin:0 0 1.5rem}
a,button{display:inline-block;font:inherit;padding:.55rem 1.1rem;border:1px solid;border-radius:.5rem;background:none;color:inherit;text-decoration:none;cursor:pointer}
a:focus-visible,button:focus-visible{outline:3px solid Highlight;outline-offset:2px}`;

/** One style sheet, no script, nothing from other origins, no frames; forms are sent to this application only. */
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
  /** Where the page redirects to at once. */
  refresh?: string;
  link?: { href: string; label: string };
  /** A hidden image of this application that is fetched before the page redirects. */
  image?: string;
  /** A form that posts to `action`. */
  button?: { action: string; label: string };
}

/** Sends a small self-contained page. Everything in it is escaped, and no text in it comes from a query. */
export function sendPage(res: Response, status: number, page: Page): 'sent' {
  res.statusCode = status;
  res.setHeader('Content-Type', 'text/html; charset=utf-8');
  res.setHeader('Content-Security-Policy', page.image === undefined ? POLICY : `${POLICY}; img-src 'self'`);
  res.setHeader('X-Content-Type-Options', 'nosniff');
  res.setHeader('X-Frame-Options', 'DENY');
  // With `no-referrer`, browsers send `Origin: null` with the form of the sign-out page (Fetch section 3.2).
  res.setHeader('Referrer-Policy', 'same-origin');
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
