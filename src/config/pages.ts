import type { IncomingMessage } from 'node:http';
import { canParse } from '../can-parse.js';
import { BUTTON_TEXTS, DEFAULT_TEXTS, type PageTexts } from '../http/page-texts.js';
import { DEFAULT_THEME, type PageTheme, type RenderPage } from '../http/pages.js';
import { ownProperties } from '../own-properties.js';
import { isRecord, Problems } from './problem-list.js';
import { type Advice } from './suggestions.js';

/** The look, the language and the texts of the pages of this package: errors, sign-out, and pages between redirects. */
export interface PageOptions {
  /** The name of your application, above each page and in its `<title>`. */
  title?: string;
  /** An image above each page: a path of your application (`/logo.svg`), an https URL, or a `data:` URL. */
  logo?: string;
  /** Button color, `#rrggbb`. The text of buttons is black or white, whichever is easier to read on it. */
  color?: string;
  /** The language of `texts`, as a tag such as `de` or `pt-BR` (BCP 47). Default `en`. */
  lang?: string;
  /** Titles and texts by page, and labels of buttons. Texts that are not set are in English. */
  texts?: PageTexts;
  /**
   * Puts a page into the layout of your application, and returns the whole HTML document. `page.head` and `page.body`
   * are HTML, with all values escaped. An error that it throws goes to the Express error handler.
   *
   * @example
   * render: ({ lang, head, body }) =>
   *   `<!doctype html><html lang="${lang}"><head>${head}<link rel="stylesheet" href="/app.css"></head><body>${body}</body></html>`
   */
  render?: RenderPage;
}

/** Page options, or a function that returns them for a request, for example by its language. */
export type PagesOption =
  PageOptions | ((req: IncomingMessage) => PageOptions | undefined | Promise<PageOptions | undefined>);

/** The theme of the pages for a request. */
export type PagesFor = (req: IncomingMessage) => PageTheme | Promise<PageTheme>;

/** The name of every option; the compiler checks that it is complete. */
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

const TEXT_NAMES: Readonly<Record<string, true>> = Object.fromEntries(
  [...Object.keys(DEFAULT_TEXTS), 'buttons'].map((name) => [name, true]),
);

const BUTTON_NAMES: Readonly<Record<string, true>> = Object.fromEntries(
  Object.keys(BUTTON_TEXTS).map((name) => [name, true]),
);

/** The longest name of an application, in characters. */
const MAX_TITLE = 100;

/** The longest text of a page, in characters. */
const MAX_TEXT = 1000;

/**
 * Checks page options. At start-up each problem is a mistake. What a function returns may come from data, such as the
 * name of a tenant or a header of the request, and a page must not fail because of it: a text that does not fit is
 * shortened, and a language, logo or color that cannot be used is left out with a warning.
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

/** @param ofValues Takes the problems of the language, the logo and the color. */
function readTheme(value: unknown, problems: Problems, ofValues = problems): PageTheme {
  if (value === undefined) return DEFAULT_THEME;
  if (!isRecord(value)) {
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

/** Leaves out empty texts, and shortens those that are too long. */
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
  // A character outside the BMP is not cut in half.
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
    // A RangeError: not a language tag.
  }
  problems.add("pages.lang must be a language tag, such as 'de' or 'pt-BR'");
  return DEFAULT_THEME.lang;
}

const DATA_IMAGE = /^data:image\/[a-z+.-]{1,32}[;,]/;

/** An origin that is one source of a Content-Security-Policy. A host in a URL may contain `;` and `,`, which end a source. */
const SOURCE = /^https:\/\/[\w.:[\]-]+$/;

function readLogo(value: unknown, problems: Problems): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'string') {
    if (DATA_IMAGE.test(value)) return value;
    const isPath = value.startsWith('/');
    if (canParse(value, 'https://a.invalid')) {
      const url = new URL(value, 'https://a.invalid');
      // A path stays on this origin; `//example.com` would not.
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
  if (!isRecord(value)) {
    problems.add("pages.texts must be an object such as { signOut: { title: 'Abmelden?' } }");
    return DEFAULT_THEME.texts;
  }
  const given = ownProperties(value);
  problems.unknownKeys('page in pages.texts', given, TEXT_NAMES, {}, NO_SUCH_PAGE);
  const texts = Object.entries(given)
    .filter(([name]) => Object.hasOwn(TEXT_NAMES, name))
    .map(([name, text]) => [name, readText(name, text, problems)]);
  return Object.freeze(ownProperties(Object.fromEntries(texts) as PageTexts));
}

const PAGE_TEXT = { title: true, text: true } as const;

function readText(name: string, value: unknown, problems: Problems): object | undefined {
  if (value === undefined) return undefined;
  const isButtons = name === 'buttons';
  if (!isRecord(value)) {
    const form = isButtons ? "{ signIn: 'Anmelden' }" : '{ title, text }';
    problems.add(`pages.texts.${name} must be an object such as ${form}`);
    return undefined;
  }
  const given = ownProperties(value);
  problems.unknownKeys(`key in pages.texts.${name}`, given, isButtons ? BUTTON_NAMES : PAGE_TEXT);
  const set = Object.entries(given).filter(([, text]) => text !== undefined);
  for (const [key, text] of set) {
    if (!isText(text, MAX_TEXT))
      problems.add(`pages.texts.${name}.${key.slice(0, 64)} must be a text of 1 to ${MAX_TEXT} characters`);
  }
  return Object.freeze(ownProperties(Object.fromEntries(set)));
}
