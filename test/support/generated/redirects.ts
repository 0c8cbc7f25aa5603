import { random } from '../random.js';
import type { Row } from '../corpora.js';

export interface MadeAddress extends Row {
  input: string;
}

const HOSTILE = [
  ...[
    '/',
    '//',
    '\\',
    '.',
    '..',
    '...',
    ';',
    ':',
    '@',
    '?',
    '#',
    '%',
    '&',
    '=',
    ' ',
    '\t',
    '\n',
    '\r',
    '\0',
    '\u007f',
  ],
  ...[
    '%2f',
    '%5c',
    '%2e',
    '%09',
    '%0d%0a',
    '%00',
    '%25',
    '%252f',
    '%255c',
    '%c0%af',
    '%ff',
    '%u2215',
    '%E3%80%82',
  ],
  ...[
    '\u0085',
    '\u00a0',
    '\u00ad',
    '\u200b',
    '\u2028',
    '\u2060',
    '\u202e',
    '\ufeff',
    '\ud800',
    '\udc00',
    '\u{e0001}',
  ],
  ...['／', '＼', '．', '。', '｡', '：', '＠', '⁄', '∕', '℀', '㏂', 'ｊ', 'ſ', 'ß', 'İ'],
  ...[
    'http:',
    'https:',
    'HTTPS:',
    'javascript:',
    'data:',
    'blob:',
    'filesystem:',
    'view-source:',
    'x-y.z+1:',
    'ht\ttps:',
  ],
  ...[
    'evil.example',
    'app.example.com',
    'evil.example:443',
    'app.example.com@',
    'a:b@',
    '[::1]',
    '[::ffff:7f00:1]',
    '127.1',
  ],
  ...[
    '0x7f.1',
    '017700000001',
    '2130706433',
    'xn--e1awd7f.example',
    'localhost',
    '/auth/login',
    '/auth/logout',
    '/AUTH/%4cogout',
  ],
  ...[
    '/auth/callback',
    '/x/..',
    '/%2e%2e',
    '/.;/',
    '/..;/',
    '<script>',
    '"',
    "'",
    '`',
    '${7*7}',
    '{{7*7}}',
    '\r\nLocation: /',
  ],
];

/** URLs designed to lead away from the site. */
export function hostileAddresses(count: number): MadeAddress[] {
  const { pick, some } = random('hostile addresses');
  const starts = ['', '/', '//', 'https://', 'https://app.example.com', '/\\', 'https:', '?', '#', ' ', '/a'];
  return Array.from({ length: count }, (_, index) => ({
    id: `made${index}`,
    input: pick(starts) + some(HOSTILE, 1, 6).join(''),
  }));
}

const SEGMENTS = [
  ...[
    'a',
    'Dashboard',
    'users',
    '42',
    '.well-known',
    'a.b',
    'a..',
    '...',
    '-',
    '_',
    '~ada',
    'a-b',
    '%20',
    'a%20b',
    '%C3%A9',
  ],
  ...[
    '%2F',
    'a%2Fb',
    'a%5Cb',
    '%25',
    '100%25',
    '%23',
    '%3F',
    '%0A',
    'é',
    'ß',
    '日本',
    'İ',
    '😀',
    'a b',
    'a:b',
    '@ada',
    'a@b',
    ':',
    '',
  ],
  ...[
    'a;b=c',
    'a,b',
    'a=b',
    'a+b',
    'a$b',
    'a!b',
    "a'b",
    '(a)',
    '*',
    'a&b',
    '[1]',
    '{a}',
    'a|b',
    'a^b',
    '`',
    '"a"',
    '<a>',
  ],
  ...[
    'login',
    'logout',
    'auth',
    'callback',
    'https:',
    'javascript:',
    'evil.example',
    'null',
    '__proto__',
    '..%2e',
  ],
];
const QUERIES = [
  ...[
    '',
    'a',
    'a=1',
    'a=1&a=2',
    'a[]=1',
    'a[b]=1',
    'q=a+b',
    'q=%26%3D%3F',
    'q=%',
    'q=%zz',
    'q=100%',
    'q=é',
    'q=日本',
    'q=😀',
  ],
  ...[
    'next=/b',
    'next=//evil.example',
    'next=https://evil.example/',
    'u=%2F%2Fevil.example',
    'q=a b',
    'q=a\\b',
    'q="',
    "q='",
  ],
  ...[
    'returnTo=/x',
    'code=1&state=2',
    '?',
    '??',
    '&&',
    '=',
    'a=#',
    '__proto__=1',
    'json={"a":1}',
    'q=<b>',
    `q=${'x'.repeat(900)}`,
  ],
];
const FRAGMENTS = [
  '',
  'a',
  '/spa',
  '//x',
  '!/a',
  'a=1',
  'é',
  'a b',
  '#',
  '?',
  ':~:text=x',
  '\\',
  '%',
  '😀',
  '"',
];

/** URLs of the application's pages, in every form that a link can have. */
export function goodAddresses(count: number): MadeAddress[] {
  const { pick, some, oneIn } = random('good addresses');
  const path = (): string => {
    const [first = '', ...others] = some(SEGMENTS, 1, 4);
    // Two slashes at the start, literal or decoded, would introduce a host name.
    const start = /^(?:$|%2f|%5c|%0a)/i.test(first) ? 'a' : first;
    const made = `/${[start, ...others].join('/')}`;
    return made.replace(/^\/(?:auth\/)?(?=login|logout|callback)/, '/to-');
  };
  return Array.from({ length: count }, (_, index) => {
    const query = oneIn(2) ? `?${pick(QUERIES)}` : '';
    const fragment = oneIn(3) ? `#${pick(FRAGMENTS)}` : '';
    const origin = pick(['', '', '', '@@ORIGIN@@', '@@ORIGIN@@']);
    return { id: `made${index}`, input: origin + path() + query + fragment };
  });
}
