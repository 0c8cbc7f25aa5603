import { corpus, type Row } from './corpora.js';

export interface FurtherRow extends Row {
  readonly input: string;
}

const SLASHES = [
  '/',
  '\\',
  '%2f',
  '%5c',
  '%252f',
  '／',
  '⁄',
  '∕',
  '＼',
  '%EF%BC%8F',
  '//',
  '\\/',
  '/\\',
  '%c0%af',
];
const NOISE = [
  '',
  '\t',
  '\n',
  '\r',
  '\0',
  ' ',
  '\u000b',
  '\u00a0',
  '\u200b',
  '\ufeff',
  '%09',
  '%0a',
  '%0d%0a',
  '%00',
  '%20',
  '%e2%80%8b',
];
const STEPS = [
  '',
  '.',
  '..',
  './.',
  '%2e',
  '%2e%2e',
  '.%2e',
  '%252e%252e',
  ';',
  ';x',
  'x/..',
  'x/%2e%2e',
  '。',
];
const SCHEMES = [
  '',
  'https:',
  'http:',
  'HtTpS:',
  'javascript:',
  'data:',
  'vbscript:',
  'file:',
  'ftp:',
  'blob:',
  'about:',
  'ws:',
  'https',
  'java\tscript:',
  'h\nttps:',
  'https&colon;',
  'x:',
  '//',
];
const HOSTS = [
  'evil.example',
  'EVIL.example',
  'evil。example',
  'ｅvil.example',
  'evil.example:443',
  'app.example.com@evil.example',
  'evil.example#@app.example.com',
  'evil.example?app.example.com',
  'app.example.com.evil.example',
  '[::1]',
  '0x7f000001',
  '2130706433',
  'evil%2eexample',
  'xn--e1awd7f.example',
  ':@evil.example',
  'a:b@evil.example',
];
const OWN = ['/auth/login', '/auth/logout', '/auth/callback'];

/** Removes lone surrogates, which URL encoders reject. */
function wellFormed(value: string): string {
  return Buffer.from(value).toString();
}

/** Changes that an attacker makes to a rejected value to get it past a filter. */
const MUTATIONS: readonly ((value: string) => string)[] = [
  (value) => value.toUpperCase(),
  (value) => encodeURI(wellFormed(value)),
  (value) => encodeURIComponent(wellFormed(value)),
  (value) => encodeURIComponent(encodeURIComponent(wellFormed(value))),
  (value) => value.replaceAll('/', '\\'),
  (value) => value.replaceAll('/', '%2f'),
  (value) => `/${value}`,
  (value) => `/.${value}`,
  (value) => `/x/..${value}`,
  (value) => `/%2e/${value}`,
  (value) => value + value,
  (value) => value.slice(0, -1),
  (value) => value.slice(1),
  (value) => ` ${value}`,
  (value) => `${value}\t`,
  (value) => `${value}#`,
  (value) => `${value}\ud800`,
  (value) => value.normalize('NFKC'),
  (value) => Array.from(value).reverse().join(''),
  (value) => value.replace('.', '\u3002'),
  (value) => value.split('').join('\u0000'),
  (value) => `https://app.example.com${value}`,
  (value) => `https://app.example.com:443${value}`,
  (value) => `//app.example.com${value}`,
  (value) => `https://app.example.com\\${value}`,
  (value) => `https:/${value}`,
  (value) => `https:${value}`,
];

function* built(): Generator<string> {
  for (const first of SLASHES)
    for (const noise of NOISE) for (const second of SLASHES) yield `${first}${noise}${second}evil.example/x`;
  for (const step of STEPS)
    for (const slash of SLASHES)
      for (const other of ['/', slash]) yield `/${step}${slash}${other}evil.example`;
  for (const noise of NOISE)
    for (const scheme of SCHEMES)
      for (const host of HOSTS) {
        yield `${noise}${scheme}//${host}/`;
        yield `${scheme}${noise}/\\${host}`;
      }
  for (const own of OWN)
    for (const noise of ['', '/', '/.', '?x=1', '#x', '%2f', '/%2e', '/x/..', '%00', ';x=1', '//', '%20'])
      for (const before of ['', '/.', '/x/..', '/%2e', 'https://app.example.com', '/', '//app.example.com']) {
        yield before + own + noise;
        yield (before + own + noise).toUpperCase();
        yield before + own.replace('l', '%6c').replace('/', '%2f') + noise;
      }
}

/** Rows of the same kinds as those of `open-redirect.jsonl`, but not in it. They are the same on every run. */
export function furtherRedirects(): FurtherRow[] {
  const known = new Set<string>();
  const rows: FurtherRow[] = [];
  const add = (input: string) => {
    if (known.has(input)) return;
    known.add(input);
    rows.push({ id: `further${rows.length}`, input });
  };
  for (const { input } of corpus<FurtherRow>('open-redirect')) {
    known.add(input);
    if (input.length < 300) for (const mutate of MUTATIONS) add(mutate(input));
  }
  for (const input of built()) add(input);
  return rows;
}
