import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createCookies } from '../../src/cookies.js';
import { corpus, type Row } from '../support/corpora.js';

const { sessionValues } = createCookies({
  name: 'wos-session',
  domain: undefined,
  sameSite: 'lax',
  maxAge: 60,
  secure: true,
});
const read = (cookie: string) =>
  sessionValues(Object.assign(new IncomingMessage(new Socket()), { headers: { cookie } }));

/** The values of the one cookie by the grammar alone: split, trim, compare (RFC 6265 section 5.4), three at most. */
function reference(cookie: string): string[] {
  const pairs = cookie.split(';').map((pair) => [pair.slice(0, pair.indexOf('=')), pair] as const);
  const named = pairs.filter(([name, pair]) => pair.includes('=') && name.trim() === 'wos-session');
  return named.map(([name, pair]) => pair.slice(name.length + 1).trim()).slice(0, 3);
}

const piece = fc.constantFrom(
  ...[
    'wos-session',
    'wos-session=',
    '=',
    ';',
    '; ',
    ' ',
    '\t',
    'wos-session=v; ',
    '=a',
    'b',
    'x',
    '"',
    'other=1',
  ],
);

test('a header that is plain at a glance comes to the same as one that is taken apart', () => {
  const headers = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(''));
  fc.assert(
    fc.property(headers, (header) => {
      expect(read(header)).toEqual(reference(header));
    }),
    { numRuns: 5000 },
  );
  for (const row of corpus<Row & { header: string | string[] }>('cookie-headers')) {
    // Node joins the lines of a repeated Cookie header so.
    const header = [row.header].flat().join('; ');
    if (header.includes('wos-session.')) continue;
    expect(read(header), header).toEqual(reference(header));
  }
});

test('the session is found among others, wherever it stands', () => {
  for (const header of [
    'wos-session=v',
    'a=1; wos-session=v',
    'wos-session=v; a=1',
    'a=1;wos-session= v ;b',
  ]) {
    expect(read(header), header).toEqual(['v']);
  }
  expect(read('my-wos-session=v')).toEqual([]);
  expect(read('wos-session.0=a; wos-session.1=b')).toEqual(['ab', 'a']);
});
