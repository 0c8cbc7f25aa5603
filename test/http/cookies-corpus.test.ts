import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FRAMEWORKS } from '../support/frameworks.js';
import { corpus, corpusKeys, rowsOn, type Row } from '../support/corpora.js';
import { createCorpusApp, type CorpusApp } from '../support/corpus-app.js';
import { tryAll } from '../support/tally.js';
import { random } from '../support/random.js';
import { ADA } from '../support/app.js';

interface CookieRow extends Row {
  header: string | string[];
  expect: string;
}

interface SealRow extends Row {
  value: string;
}

const GRACE = 'grace@example.com';
const UNDECIDED = 'no 5xx; anonymous or same session; never another user';

/** Rows of the same kinds as those in `cookie-headers.jsonl`. */
function further(): CookieRow[] {
  const name = 'wos-session';
  const junk = [
    '',
    '=',
    ';',
    ',',
    '"',
    '%',
    '%00',
    '\t',
    'Fe26.2',
    'Fe26.2*1',
    'undefined',
    '[object Object]',
    '__proto__',
    'é',
    '\u0080',
    'x'.repeat(4000),
    '~2',
    '****',
    'Fe26.2********~2',
  ];
  const rows: CookieRow[] = [];
  const add = (header: string | string[], expected = UNDECIDED) =>
    void rows.push({ id: `further${rows.length}`, header, expect: expected });
  for (const value of junk) {
    add(`${name}=${value}`);
    add(`${name}=${value}; ${name}=@@VALID@@`);
    add(`${name}=@@VALID@@; ${name}=${value}`, value.includes(';') ? UNDECIDED : 'authenticated');
    add(`${value}; ${name}=@@VALID@@`, /[;=]|__proto__/.test(value) ? UNDECIDED : 'authenticated');
    add(`${name}.0=${value}; ${name}.1=@@CHUNK1@@`);
    add(`${name}.0=@@CHUNK0@@; ${name}.1=${value}`, 'anonymous');
    add(`${name}.0=@@CHUNK0@@; ${name}.1=@@CHUNK1@@; ${name}.2=${value}`);
    add(`a=${value}; ${name}.0=@@CHUNK0@@; ${name}.1=@@CHUNK1@@`, 'authenticated');
    add(`wos-auth-verifier-${value}=x; ${name}=@@VALID@@`, 'authenticated');
    add([`${name}=${value}`, `${name}=@@VALID@@`]);
  }
  for (const index of ['1', '00', '01', '-1', '1e0', '0x0', '99', '100', 'NaN', '', ' ', '0.0', '٠'])
    add(`${name}.${index}=@@VALID@@`, 'anonymous');
  for (const other of [
    'WOS-SESSION',
    'wos_session',
    'wos-session ',
    'xwos-session',
    'wos-session.',
    '__Host-wos-session',
    '"wos-session"',
  ])
    add(`${other}=@@VALID@@`, other === 'wos-session ' ? UNDECIDED : 'anonymous');
  for (const mutated of [
    '@@VALID@@x',
    '@@VALID@@%20',
    '"@@VALID@@"',
    '@@VALID@@@@VALID@@',
    '@@VALID@@,@@VALID2@@',
    'x@@VALID@@',
    '@@CHUNK0@@',
    '@@CHUNK1@@',
    '@@CHUNK0@@ @@CHUNK1@@',
  ])
    add(`${name}=${mutated}`, 'anonymous');
  add(
    Array.from({ length: 300 }, (_, index) => `a${index}=b`).join('; ') + `; ${name}=@@VALID@@`,
    'authenticated',
  );
  add(`${name}=x; ${name}=x; ${name}=x; ${name}=x; ${name}=@@VALID@@`);
  add(`${name}=@@VALID@@; ${name}=@@VALID2@@`, 'exactly one user');
  return rows;
}

/** Random headers with their expected session: the first one in a single cookie, otherwise one in chunks. */
function made(count: number): CookieRow[] {
  const { pick, some, oneIn } = random('cookies');
  const name = 'wos-session';
  const junk = [
    '',
    'x',
    '"',
    '%',
    '__proto__',
    'Fe26.2*1~2',
    '@@CHUNK0@@',
    '@@CHUNK1@@',
    '@@VALID@@x',
    '\u0080',
    '=',
  ];
  const value = () => pick(oneIn(2) ? ['@@VALID@@', '@@CHUNK0@@', '@@CHUNK1@@'] : junk);
  const key = () => (oneIn(2) ? name : `${name}.${pick(['0', '0', '1', '1', '2', '10', '-1', '01', ''])}`);
  return Array.from({ length: count }, (_, index) => {
    const others = some(
      ['a=b', '__proto__=x', 'wos-auth-verifier-0=x', 'xwos-session=@@VALID@@', '=', ''],
      0,
      2,
    );
    const own = Array.from({ length: 1 + (index % 5) }, () => [key(), value()] as const);
    const pairs = [
      ...others,
      ...own.map((pair) => pair.join('=')),
      ...some(['c=d', ';', 'wos-session'], 0, 1),
    ];
    const text = pairs.join(pick(['; ', '; ', ';', ' ; ', ';  ']));
    const isTabbed = oneIn(9);
    return {
      id: `made${index}`,
      header: isTabbed ? text.replaceAll(' ', '\t') : text,
      expect: comesTo(own) ? 'authenticated' : 'anonymous',
    };
  });
}

function comesTo(own: readonly (readonly [key: string, value: string])[]): boolean {
  const of = (name: string) => own.filter(([key]) => key === name).map(([, value]) => value);
  const isWhole = (text: string) => text === '@@VALID@@' || text === '@@CHUNK0@@@@CHUNK1@@';
  const grows = (text: string, index: number): boolean =>
    isWhole(text) ||
    (index < 3 && of(`wos-session.${index}`).some((piece) => grows(text + piece, index + 1)));
  return of('wos-session').includes('@@VALID@@') || grows('', 0);
}

describe.each(FRAMEWORKS)('cookies on %s', (framework) => {
  let at: CorpusApp;
  let sessions: string[] = [];
  beforeAll(async () => {
    at = await createCorpusApp(framework);
    for (const user of [ADA, GRACE]) sessions.push((await at.workos.signIn({ user })).split('=')[1]!);
  });
  afterAll(async () => {
    sessions = [];
    await at.close();
  });

  async function attempt(row: CookieRow): Promise<undefined> {
    const [valid = '', valid2 = ''] = sessions;
    const half = Math.ceil(valid.length / 2);
    const fill = (header: string) =>
      header
        .replaceAll('@@VALID@@', valid)
        .replaceAll('@@VALID2@@', valid2)
        .replaceAll('@@CHUNK0@@', valid.slice(0, half))
        .replaceAll('@@CHUNK1@@', valid.slice(half));
    const answer = await at.raw(
      '/protected',
      [row.header].flat().map((header) => `Cookie: ${fill(header)}`),
    );
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)![1]);
    if (/^authenticated(?! or)/.test(row.expect)) expect(status).toBe(200);
    else if (row.expect === 'anonymous') expect([400, 401]).toContain(status);
    else if (/^4\d\d/.test(row.expect)) expect(status).toBe(Number(row.expect.slice(0, 3)));
    else expect([200, 400, 401]).toContain(status);
    // If two are valid, the one that the browser sends first.
    if (status === 200) expect(answer).toContain(ADA);
    expect(answer).not.toMatch(/^set-cookie: wos-session/im);
  }

  test('cookie-headers', async (context) => {
    await tryAll(
      context,
      { corpus: 'cookie-headers', on: framework },
      corpus<CookieRow>('cookie-headers'),
      attempt,
    );
  });

  test('further rows of the same kinds', async (context) => {
    await tryAll(
      context,
      { corpus: 'cookie-headers, further', on: framework },
      rowsOn(framework, further()),
      attempt,
    );
  });

  test('generated rows of the same kinds', async (context) => {
    const rows = made(400).filter((_, index) => index % 4 === FRAMEWORKS.indexOf(framework));
    expect(rows.filter((row) => row.expect === 'authenticated').length).toBeGreaterThan(rows.length / 5);
    await tryAll(context, { corpus: 'cookie-headers, made', on: framework }, rows, attempt);
  });

  for (const name of ['seals', 'seal-bitflips']) {
    test(`${name}: no user is signed in, and no cookie is cleared`, async (context) => {
      const before = at.served();
      await tryAll(context, { corpus: name, on: framework }, corpus<SealRow>(name), async ({ value }) => {
        const answer = await at.raw('/protected', [`Cookie: wos-session=${value}`]);
        // Node itself rejects headers that are invalid or too long.
        expect(answer.slice(0, 60)).toMatch(/^HTTP\/1\.1 (?:400|401|431) /);
        expect(answer).not.toMatch(/^set-cookie/im);
        return undefined;
      });
      expect(at.served()).toBe(before);
    });
  }

  test('the keys of the corpus do not open here', () => {
    expect(Object.values(corpusKeys('seal-keys'))).not.toContain(at.workos.options.cookiePassword);
  });
});
