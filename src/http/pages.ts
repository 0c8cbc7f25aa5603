import { createHash, randomBytes } from 'node:crypto';
import { ownProperties } from '../plain-objects.js';
import type { Request, Response } from './handler-to-middleware.js';
import { BUTTON_TEXTS, type ButtonName, type PageName, type PageTexts, textOf } from './page-texts.js';
import { noStore } from './response.js';

/** The look, language and texts of an application's pages. */
export interface PageTheme {
  /** The language of the pages, as a BCP 47 tag. */
  readonly lang: string;
  /** The name of the application. */
  readonly title?: string | undefined;
  /** The URL of the logo: a path in this application, an https URL, or a `data:` URL. */
  readonly logo?: string | undefined;
  /** The color of the button, in the format `#rrggbb`. */
  readonly color?: string | undefined;
  readonly texts: PageTexts;
  readonly render?: RenderPage | undefined;
}

/** Returns the theme of the pages for a request. */
export type PagesFor = (req: Request) => PageTheme | Promise<PageTheme>;

/**
 * The theme that is used if the application sets no page options. Like every theme, it has no prototype, so a polluted
 * `Object.prototype` cannot add a color, a logo or texts.
 */
export const DEFAULT_THEME: PageTheme = Object.freeze(
  ownProperties({ lang: 'en', texts: Object.freeze(ownProperties({})) }),
);

/** The content of a page, which `render` puts into the application's layout. */
export interface PageContent {
  /** The name of the page: an error code, or the name of a route's page, such as `signOut`. */
  readonly name: PageName;
  /** The HTTP status of the response. */
  readonly status: number;
  readonly lang: string;
  /** The title as plain text, not escaped for HTML. */
  readonly title: string;
  /** The main text as plain text, not escaped for HTML. */
  readonly text: string;
  /** HTML for `<head>`: charset, viewport and title. Pages that redirect automatically also contain the redirect. */
  readonly head: string;
  /** HTML for `<body>`: the heading, the text, and a link or a form with a button. */
  readonly body: string;
  /**
   * The nonce that allows `<style nonce="…">` elements on this page. It has no effect if the application has set its
   * own `Content-Security-Policy` header.
   */
  readonly nonce: string;
}

export type RenderPage = (page: PageContent, req: Request, res: Response) => string | Promise<string>;

/** Describes a page to send. `name` determines the page's title and default text. */
export interface Page {
  readonly name: PageName;
  /** The HTTP status of the response. Default: 200. */
  readonly status?: number;
  /** Replaces the default text for `name`. */
  readonly text?: string | undefined;
  /** The URL to which the page redirects immediately. */
  readonly refresh?: string | undefined;
  readonly link?: { readonly href: string; readonly label: ButtonName } | undefined;
  /** The URL of a hidden image of this application, which the browser fetches before the page redirects. */
  readonly image?: string | undefined;
  /** A button that submits an empty form to `action` with the POST method. */
  readonly button?: { readonly action: string; readonly label: ButtonName } | undefined;
}

/**
 * Sends a small self-contained page. All values in the page are escaped, and none of its text comes from a query
 * string.
 *
 * @param config Its `pages` function returns the theme for a request. An error that `pages` or the theme's `render`
 * throws goes to the application's error handler.
 */
export async function sendPage(
  req: Request,
  res: Response,
  given: Page,
  config: { readonly pages: PagesFor },
): Promise<'sent'> {
  const page = ownProperties(given);
  const theme = await config.pages(req);
  const { html, policy } = await render(page, theme, req, res);
  res.statusCode = page.status ?? 200;
  res.setHeader('Content-Type', 'text/html; charset=utf-8');
  if (policy !== undefined) res.setHeader('Content-Security-Policy', policy);
  res.setHeader('X-Content-Type-Options', 'nosniff');
  res.setHeader('X-Frame-Options', 'DENY');
  // With `no-referrer`, browsers would send `Origin: null` when the form on the sign-out page is submitted (Fetch
  // section 3.2).
  res.setHeader('Referrer-Policy', 'same-origin');
  return noStore(res, html);
}

interface Rendered {
  readonly html: string;
  /** The `Content-Security-Policy` of the page. `undefined` if the application has set one itself. */
  readonly policy: string | undefined;
}

async function render(page: Page, theme: PageTheme, req: Request, res: Response): Promise<Rendered> {
  const { lang } = theme;
  const text = textOf(page.name, theme.texts);
  const { title } = text;
  const shown = { title, text: page.text ?? text.text };
  const head = headOf(page, title, theme);
  const body = bodyOf(page, shown, theme);
  const image = page.image === undefined ? [] : ["'self'"];
  if (!theme.render) {
    const style = styleOf(theme);
    const hash = createHash('sha256').update(style).digest('base64');
    const images = [...image, ...sourceOf(theme.logo)];
    return { html: layoutOf(theme, head, body, style), policy: policyOf(`'sha256-${hash}'`, images) };
  }
  const nonce = randomBytes(16).toString('base64');
  const content = { name: page.name, status: page.status ?? 200, lang, ...shown, head, body, nonce };
  const html: unknown = await theme.render(content, req, res);
  if (typeof html !== 'string') throw new TypeError('pages.render must return a string of HTML');
  // If the application has set a policy (for example, with helmet), that policy applies to the page.
  if (res.hasHeader('content-security-policy')) return { html, policy: undefined };
  return { html, policy: policyOf(`'self' 'nonce-${nonce}'`, ["'self'", 'data:'], "; font-src 'self'") };
}

/**
 * Builds the `Content-Security-Policy` of a page. It blocks scripts, frames, and content from other origins except for
 * the logo. Forms can be submitted only to this application.
 */
function policyOf(style: string, images: readonly string[], more = ''): string {
  const directives = [
    "default-src 'none'",
    `style-src ${style}`,
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    ...(images.length === 0 ? [] : [`img-src ${[...new Set(images)].join(' ')}`]),
  ];
  return directives.join('; ') + more;
}

/** Returns the `img-src` source that allows the logo. */
function sourceOf(logo: string | undefined): string[] {
  if (logo === undefined) return [];
  if (logo.startsWith('data:')) return ['data:'];
  return [logo.startsWith('/') ? "'self'" : new URL(logo).origin];
}

function layoutOf({ lang, title, logo }: PageTheme, head: string, body: string, style: string): string {
  const image = logo === undefined ? '' : `<img src="${escape(logo)}" alt="">`;
  const brand = image || title ? `<p class="brand">${image}${escape(title ?? '')}</p>\n` : '';
  return `<!doctype html>
<html lang="${escape(lang)}"${isRightToLeft(lang) ? ' dir="rtl"' : ''}>
<head>
${head}
<style>${style}</style>
</head>
<body>
<main>
${brand}<div class="card">
${body}
</div>
</main>
</body>
</html>
`;
}

function headOf({ refresh }: Page, pageTitle: string, { title }: PageTheme): string {
  return [
    '<meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    refresh === undefined ? '' : `<meta http-equiv="refresh" content="0; url=${escape(refresh)}">`,
    `<title>${escape(title === undefined ? pageTitle : `${pageTitle} · ${title}`)}</title>`,
  ]
    .filter(Boolean)
    .join('\n');
}

function bodyOf(
  { link, image, button }: Page,
  { title, text }: { title: string; text: string },
  { texts }: PageTheme,
): string {
  const labelOf = (name: ButtonName) => escape(texts.buttons?.[name] ?? BUTTON_TEXTS[name]);
  return [
    `<h1>${escape(title)}</h1>`,
    `<p>${escape(text)}</p>`,
    link ? `<a href="${escape(link.href)}">${labelOf(link.label)}</a>` : '',
    image === undefined ? '' : `<img src="${escape(image)}" alt="" hidden>`,
    button
      ? `<form method="post" action="${escape(button.action)}"><button>${labelOf(button.label)}</button></form>`
      : '',
  ]
    .filter(Boolean)
    .join('\n');
}

/** The languages whose usual script is written from right to left. */
const RIGHT_TO_LEFT = new Set([
  'ar',
  'arc',
  'ckb',
  'dv',
  'fa',
  'he',
  'ks',
  'nqo',
  'ps',
  'sd',
  'syr',
  'ug',
  'ur',
  'yi',
]);

function isRightToLeft(lang: string): boolean {
  return RIGHT_TO_LEFT.has(lang.split('-', 1)[0] ?? '');
}

const STYLE = `*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:2rem 1rem;font:1rem/1.6 system-ui,sans-serif;background:var(--page);color:var(--ink)}
main{width:100%;max-width:27rem}
.brand{display:flex;align-items:center;gap:.6rem;margin:0 0 1rem;font-weight:600}
.brand img{display:block;height:2rem;max-width:12rem}
.card{padding:2rem 1.75rem;background:var(--card);border:1px solid var(--line);border-radius:1rem;overflow-wrap:anywhere}
h1{font-size:1.5rem;line-height:1.25;letter-spacing:-.015em;margin:0}
.card p{margin:.5rem 0 1.5rem;color:var(--soft)}
a,button{display:inline-block;font:inherit;font-weight:600;line-height:1.3;padding:.65rem 1.2rem;border:1px solid var(--accent);border-radius:.6rem;background:var(--accent);color:var(--on-accent);text-decoration:none;cursor:pointer}
:focus-visible{outline:3px solid var(--ink);outline-offset:2px}
@media (forced-colors:active){a,button{border-color:ButtonText}}`;

/** Returns the CSS of a page. If the theme has no color, the button has the same color as the text. */
function styleOf({ color }: PageTheme): string {
  const accent = color === undefined ? '' : `--accent:${color};--on-accent:${textColorOn(color)}`;
  return `:root{color-scheme:light dark;--page:#f6f5fa;--card:#fff;--ink:#1c1b29;--soft:#5d5b73;--line:#e2e0ec;${accent || '--accent:#1c1b29;--on-accent:#fff'}}
@media (prefers-color-scheme:dark){:root{--page:#14131c;--card:#1d1c29;--ink:#eeedf7;--soft:#a9a6c0;--line:#363347${accent ? '' : ';--accent:#eeedf7;--on-accent:#14131c'}}}
${STYLE}`;
}

/**
 * Returns black or white, whichever is easier to read on the given color. One of the two always has a contrast ratio of
 * more than 4.5:1.
 */
export function textColorOn(color: string): '#000' | '#fff' {
  const channels = [1, 3, 5].map((start) => Number.parseInt(color.slice(start, start + 2), 16) / 255);
  // The relative luminance of the color, as defined in WCAG 2.2.
  const [red = 0, green = 0, blue = 0] = channels.map((value) =>
    value <= 0.040_45 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4,
  );
  const luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  return (luminance + 0.05) ** 2 > 1.05 * 0.05 ? '#000' : '#fff';
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}
