import type { IncomingMessage } from 'node:http';
import { canParse } from '../url-can-parse.js';
import { BUTTON_TEXTS, DEFAULT_TEXTS, type PageTexts } from '../http/page-texts.js';
import { DEFAULT_THEME, type PagesFor, type PageTheme, type RenderPage } from '../http/pages.js';
import { isOptions, isRecord, ownProperties } from '../plain-objects.js';
import { Problems } from './collect-problems.js';
import { type Advice } from './did-you-mean.js';

/**
 * The look, language and texts of this package's pages: error pages, the sign-out page, and the pages between
 * redirects.
 */
export interface PageOptions {
  /** The name of your application, which is shown at the top of each page and in its `<title>`. */
  title?: string;
  /** An image at the top of each page: a path of your application (`/logo.svg`), an https URL, or a `data:` URL. */
  logo?: string;
  /** Button color, `#rrggbb`. Button labels are black or white, whichever is easier to read on this color. */
  color?: string;
  /** The language of `texts`, as a tag such as `de` or `pt-BR` (BCP 47). Default `en`. */
  lang?: string;
  /** Titles and texts by page name, and button labels. Any text that is not set is in English. */
  texts?: PageTexts;
  /**
   * Renders a page in the layout of your application, and returns the complete HTML document. `page.head` and
   * `page.body` are HTML in which all values are escaped. If `render` throws an error, the error is passed to the
   * Express error handler.
   *
   * @example
   * render: ({ lang, head, body }) =>
   *   `<!doctype html><html lang="${lang}"><head>${head}<link rel="stylesheet" href="/app.css"></head><body>${body}</body></html>`
   */
  render?: RenderPage;
}

/** Page options, or a function that returns them for a request, for example to match the user's language. */
export type PagesOption =
  PageOptions | ((req: IncomingMessage) => PageOptions | undefined | Promise<PageOptions | undefined>);

/** The name of every option. The compiler checks that none is missing. */
const OPTIONS: Readonly<Record<keyof PageOptions, true>> = {
  title: true,
  logo: true,
  color: true,
  lang: true,
  texts: true,
  render: true,
};

const ADVICE: Advice = {
  name: 'write title',
  brand: 'write title and logo',
  appName: 'write title',
  icon: 'write logo',
  logoUrl: 'write logo',
  primaryColor: 'write color',
  accentColor: 'write color',
  theme: 'write color, or render for a layout of your own',
  css: 'write render for a layout of your own',
  style: 'write render for a layout of your own',
  template: 'write render',
  layout: 'write render',
  language: 'write lang',
  locale: 'write lang',
  translations: 'write texts',
  messages: 'write texts',
  i18n: 'write lang and texts, or a function of the request that returns them',
  labels: 'write texts: { buttons: { … } }',
};

/** The default texts of every page, and of the buttons. */
const ALL_TEXTS = { ...DEFAULT_TEXTS, buttons: BUTTON_TEXTS };

/** The maximum length of `title`, in characters. */
const MAX_TITLE = 100;

/** The maximum length of each text and button label, in characters. */
const MAX_TEXT = 1000;

/**
 * Reads and checks the `pages` option. If the option is an object, every problem is reported at start-up.
 *
 * If the option is a function, the result of that function may contain variable data, such as a tenant's name or the
 * value of a request header. Such data must not make a page fail. For this reason, a text that is too long is
 * shortened, and an invalid language, logo or color is left out with a warning. Any other problem causes a `TypeError`
 * when the page is sent.
 *
 * @returns A function that returns the theme for a request.
 */
export function readPages(value: unknown, problems: Problems): PagesFor {
  if (typeof value !== 'function') {
    const theme = readTheme(value, problems);
    return () => theme;
  }
  return async (req) => {
    const returned: unknown = await (value as (req: IncomingMessage) => unknown)(req);
    const found = new Problems();
    const ignored = new Problems();
    const theme = readTheme(withTextsThatFit(returned), found, ignored);
    ignored.list.forEach(warnOnce);
    if (found.list.length > 0) throw new TypeError(`the function pages returned: ${found.list.join('; ')}`);
    return theme;
  };
}

const warned = new Set<string>();

function warnOnce(problem: string): void {
  if (warned.has(problem)) return;
  warned.add(problem);
  process.emitWarning(`the function pages returned a value that was left out: ${problem}`, {
    code: 'AUTHKIT_PAGES',
  });
}

/**
 * Reads page options.
 *
 * @param ofValues The list to which problems with the language, the logo and the color are added. Default: `problems`,
 * to which all other problems are added.
 */
function readTheme(value: unknown, problems: Problems, ofValues = problems): PageTheme {
  if (value === undefined) return DEFAULT_THEME;
  if (!isOptions(value)) {
    problems.add("pages must be an object such as { title: 'Example' }, or a function that returns one");
    return DEFAULT_THEME;
  }
  const options = ownProperties(value);
  problems.unknownKeys('pages option', options, OPTIONS, ADVICE);
  const { title, render } = options;
  if (title !== undefined && !isText(title, MAX_TITLE))
    problems.add(`pages.title must be the name of the application, of 1 to ${MAX_TITLE} characters`);
  if (render !== undefined && typeof render !== 'function')
    problems.add('pages.render must be a function that returns HTML');
  const theme = {
    lang: readLang(options['lang'], ofValues),
    title: title as string | undefined,
    logo: readLogo(options['logo'], ofValues),
    color: readColor(options['color'], ofValues),
    texts: readTexts(options['texts'], problems),
    render: render as RenderPage | undefined,
  };
  return Object.freeze(ownProperties(theme));
}

/** Removes empty texts, and shortens texts that are too long. */
function withTextsThatFit(options: unknown): unknown {
  if (!isRecord(options)) return options;
  const { title, texts } = ownProperties(options);
  return {
    ...options,
    title: fit(title, MAX_TITLE),
    texts: mapValues(texts, (text) => mapValues(text, (value) => fit(value, MAX_TEXT))),
  };
}

function mapValues(value: unknown, change: (item: unknown) => unknown): unknown {
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, change(item)]));
}

function fit(value: unknown, max: number): unknown {
  if (typeof value !== 'string') return value;
  if (value.trim() === '') return undefined;
  // Do not cut a surrogate pair in half.
  return value.length > max ? `${value.slice(0, max - 1).replace(/[\ud800-\udbff]$/, '')}…` : value;
}

function isText(value: unknown, max: number): value is string {
  return typeof value === 'string' && value.trim() !== '' && value.length <= max;
}

function readLang(value: unknown, problems: Problems): string {
  if (value === undefined) return DEFAULT_THEME.lang;
  try {
    const [tag] = typeof value === 'string' ? Intl.getCanonicalLocales(value) : [];
    if (tag !== undefined) return tag;
  } catch {
    // `getCanonicalLocales` throws a RangeError if the value is not a language tag.
  }
  problems.add("pages.lang must be a language tag, such as 'de' or 'pt-BR'");
  return DEFAULT_THEME.lang;
}

const DATA_IMAGE = /^data:image\/[a-z+.-]{1,32}[;,]/;

/**
 * Matches an origin that can be used as a source in a `Content-Security-Policy` header. Host names that contain `;` or
 * `,` are valid in a URL but not accepted here, because these characters would end the source.
 */
const SOURCE = /^https:\/\/[\w.:[\]-]+$/;

function readLogo(value: unknown, problems: Problems): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'string') {
    if (DATA_IMAGE.test(value)) return value;
    const isPath = value.startsWith('/');
    if (canParse(value, 'https://a.invalid')) {
      const url = new URL(value, 'https://a.invalid');
      // A path must stay on this origin, unlike `//example.com`.
      if (isPath && url.origin === 'https://a.invalid') return value;
      if (!isPath && url.protocol === 'https:' && SOURCE.test(url.origin) && canParse(value)) return url.href;
    }
  }
  problems.add("pages.logo must be a path such as '/logo.svg', an https URL, or a data: URL of an image");
  return undefined;
}

function readColor(value: unknown, problems: Problems): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'string') {
    if (/^#[\da-f]{6}$/i.test(value)) return value;
    if (/^#[\da-f]{3}$/i.test(value)) return value.replace(/[\da-f]/gi, '$&$&');
  }
  problems.add("pages.color must be a color such as '#5145cd'");
  return undefined;
}

const NO_SUCH_PAGE = 'there is no such page; docs/branding.md lists all of them';

function readTexts(value: unknown, problems: Problems): PageTexts {
  if (value === undefined) return DEFAULT_THEME.texts;
  if (!isOptions(value)) {
    problems.add("pages.texts must be an object such as { signOut: { title: 'Abmelden?' } }");
    return DEFAULT_THEME.texts;
  }
  const given = ownProperties(value);
  problems.unknownKeys('page in pages.texts', given, ALL_TEXTS, {}, NO_SUCH_PAGE);
  const texts = Object.entries(given)
    .filter(([name]) => Object.hasOwn(ALL_TEXTS, name))
    .map(([name, text]) => [name, readText(name, text, problems)]);
  return Object.freeze(ownProperties(Object.fromEntries(texts) as PageTexts));
}

const PAGE_TEXT = { title: true, text: true } as const;

function readText(name: string, value: unknown, problems: Problems): object | undefined {
  if (value === undefined) return undefined;
  const isButtons = name === 'buttons';
  if (!isOptions(value)) {
    const form = isButtons ? "{ signIn: 'Anmelden' }" : '{ title, text }';
    problems.add(`pages.texts.${name} must be an object such as ${form}`);
    return undefined;
  }
  const given = ownProperties(value);
  problems.unknownKeys(`key in pages.texts.${name}`, given, isButtons ? BUTTON_TEXTS : PAGE_TEXT);
  const set = Object.entries(given).filter(([, text]) => text !== undefined);
  for (const [key, text] of set) {
    if (!isText(text, MAX_TEXT))
      problems.add(`pages.texts.${name}.${key.slice(0, 64)} must be a text of 1 to ${MAX_TEXT} characters`);
  }
  return Object.freeze(ownProperties(Object.fromEntries(set)));
}
