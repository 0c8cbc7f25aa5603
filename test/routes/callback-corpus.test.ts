import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fingerprint } from '../../src/http/cookies.js';
import { FRAMEWORKS } from '../support/frameworks.js';
import { NAVIGATION, type Reply } from '../support/browser.js';
import { corpus, rowsOn, type Row } from '../support/corpora.js';
import {
  OLD_PASSWORD,
  createCorpusApp,
  sessionCookies,
  sound,
  type CorpusApp,
  type SealedFields,
} from '../support/corpus-app.js';
import { random } from '../support/random.js';
import { MUTATIONS } from '../support/states.js';
import { tryAll } from '../support/tally.js';

interface QueryRow extends Row {
  name: string;
  query: string;
  method?: string;
  expect: string;
  note?: string;
}

const HOSTILE_RETURNS = [
  '//evil.example',
  'https://evil.example',
  '/\\evil.example',
  '/auth/logout',
  'javascript:alert(1)',
  '/%09/evil.example',
  '/.//evil.example',
  '\u0000',
  '/é',
  '?x',
];
const BAD = '400';
const PARAMETERS = ['code', 'state', 'error', 'iss', 'error_description'];
const VALUES = [
  '',
  '%20',
  '%00',
  '%',
  '%ff',
  '%0d%0aSet-Cookie:%20x=1',
  '%F0%9F%98%80',
  '%3Cscript%3E',
  '__proto__',
  '%7B%22a%22:1%7D',
  'x'.repeat(2000),
  '%u0041',
  '${7*7}',
  "'%20OR%201=1--",
];

/** Rows of the same kinds as those in the corpus. */
function further(): QueryRow[] {
  const rows: QueryRow[] = [];
  const add = (name: string, query: string, expected: string) =>
    void rows.push({ id: `further${rows.length}`, name, query, expect: expected });
  for (const name of Object.keys(MUTATIONS))
    add(name, `code=c&state=@@STATE:${name}@@`, `${BAD}, no exchange`);
  for (const returnTo of HOSTILE_RETURNS)
    add(returnTo, `code=c&state=@@STATE_WITH_RETURNTO:${returnTo}@@`, '302 to same-origin only');
  for (const parameter of PARAMETERS) {
    for (const value of VALUES) {
      if (parameter !== 'state')
        add(`${parameter}=${value}`, `${parameter}=${value}&state=@@STATE@@`, 'no exchange or one');
      add(`${parameter} alone`, `${parameter}=${value}`, 'no exchange');
      add(`${parameter} after`, `code=c&state=@@STATE@@&${parameter}=${value}`, 'no exchange or one');
    }
    for (const form of ['[]', '[0]', '[a]', '[__proto__]', '[constructor][prototype]', '.x', '%00', '%5B%5D'])
      add(`${parameter}${form}`, `code=c&${parameter}${form}=x&state=@@STATE@@`, 'no exchange or one');
  }
  for (const age of [0, 300, 599]) add(`aged ${age}`, `code=c&state=@@STATE_AGED_${age}@@`, 'success');
  for (const age of [600, 601, 3600, 1e6, -121, -3600])
    add(`aged ${age}`, `code=c&state=@@STATE_AGED_${age}@@`, `${BAD}, no exchange`);
  for (const method of ['HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])
    rows.push({
      id: `further${rows.length}`,
      name: method,
      method,
      query: 'code=c&state=@@STATE@@',
      expect: 'no exchange',
    });
  return rows;
}

const { pick, some, oneIn, below } = random('callback');
const PAIRS: readonly (readonly [name: string, values: readonly string[]])[] = [
  ['code', ['@@CODE@@', '@@CODE@@', '@@CODE@@', 'zz', '', '%00', 'a+b', 'x'.repeat(1025)]],
  [
    'state',
    ['@@STATE@@', '@@STATE@@', '@@STATE@@', '@@STATE@@x', '', 'x', '%EF%BB%BF@@STATE@@', '@@STATE@@%20'],
  ],
  ['error', ['', 'access_denied', 'x', '%3Cscript%3E', '%0d%0a', '__proto__']],
  ['error_description', ['', '%3Cscript%3Ealert(1)%3C/script%3E', '%1b%5b31m', 'x'.repeat(3000)]],
  ['error_uri', ['javascript:alert(1)', '']],
  ['iss', ['', 'https://evil.example', '@@ISSUER@@', '@@ISSUER@@']],
  ['code[]', ['@@CODE@@']],
  ['state[]', ['@@STATE@@']],
  ['STATE', ['@@STATE@@']],
  ['%63ode', ['@@CODE@@']],
  ['returnTo', ['//evil.example']],
  ['__proto__[state]', ['@@STATE@@']],
  ['constructor', ['x']],
  ['a', ['1', '%', '%ff', '']],
  ['', ['', 'x']],
];

/** Random queries, most of them around the right code and state. */
function madeQueries(count: number): string[] {
  return Array.from({ length: count }, () => {
    const others = some(PAIRS, 0, 3).map(([name, values]) => `${name}=${pick(values)}`);
    const right = oneIn(6) ? [] : ['code=@@CODE@@', 'state=@@STATE@@'];
    const all = [...right, ...others].sort(() => below(3) - 1);
    return all.join(pick(['&', '&', '&', '&&', ';']));
  });
}

/** The expected result according to RFC 6749 and RFC 9207, implemented independently. */
function isRight(query: string, state: string, code: string, issuer: string): boolean {
  const params = new URLSearchParams(query);
  const only = (name: string, ...values: string[]) =>
    params.getAll(name).length === 1 && values.includes(params.get(name)!);
  const none = (name: string) => !params.has(name) || only(name, '');
  return only('state', state) && only('code', code) && none('error') && (none('iss') || only('iss', issuer));
}

/** A state with one character or part changed. */
function bent(state: string): string {
  const at = below(state.length);
  const [before, char, after] = [state.slice(0, at), state[at]!, state.slice(at + 1)];
  const other = pick(['A', 'b', '0', '-', '_', '*', '~', '.']);
  const changed = pick([
    before + after,
    before + char + char + after,
    before + (other === char ? 'z' : other) + after,
    before + other + char + after,
    before + char.toUpperCase() + after,
    before + char.toLowerCase() + after,
    after + char + before,
    before,
  ]);
  return changed === state ? `${state}A` : changed;
}

const secretOf = (cookie: string) => cookie.slice(cookie.indexOf('=') + 1);

describe.each(FRAMEWORKS)('callback queries on %s', (framework) => {
  let at: CorpusApp;
  beforeAll(async () => {
    at = await createCorpusApp(framework);
  });
  afterAll(() => at.close());

  const SEALED: [RegExp, (match: RegExpExecArray) => SealedFields][] = [
    [/@@STATE_WITH_RETURNTO:([^]*)@@/, ([, returnTo = '']) => ({ returnTo })],
    [/@@STATE_AGED_(-?\d+)@@/, ([, age]) => ({ age: Number(age) })],
    [/@@STATE_OLDPW@@/, () => ({ password: OLD_PASSWORD })],
    [/@@STATE_WRONGPW@@/, () => ({ password: 'nobody-knows-this-password-0123456789' })],
    [/@@STATE_OTHER_CLIENT@@/, () => ({ clientId: 'client_other' })],
    [/@@STATE_OTHER_REDIRECT@@/, () => ({ redirectUri: 'https://other.example/callback' })],
  ];

  /** Fills the placeholders of a row, and returns the cookie that is sent with it. */
  async function fill(row: QueryRow): Promise<{ query: string; cookie: string }> {
    const filled = (query: string, code: string) => query.replace(/(^|&)code=c(?=&|;|$)/, `$1code=${code}`);
    for (const [pattern, fields] of SEALED) {
      const match = pattern.exec(row.query);
      if (!match) continue;
      const { state, code, cookie } = await at.sealed(fields(match));
      return { query: filled(row.query, code).replace(match[0], state), cookie };
    }
    const { state, code, cookie } = await at.begin();
    const query = filled(row.query, code);
    if (row.query.includes('@@SESSION_SEAL@@')) {
      const session = (await at.workos.signIn()).split('=')[1]!;
      return {
        query: query.replace('@@SESSION_SEAL@@', session),
        cookie: `wos-auth-verifier-${fingerprint(session)}=${secretOf(cookie)}`,
      };
    }
    const other = query.includes('@@STATE_OTHER_BROWSER@@') ? (await at.begin()).state : state;
    const complete = query
      .replaceAll('@@STATE@@', state)
      .replace('@@STATE_OTHER_BROWSER@@', other)
      .replace(/@@STATE:(\w+)@@/, (_, name: string) => MUTATIONS[name]!(state));
    if (complete.includes('@@')) throw new Error(`a placeholder of ${row.id} has no meaning here`);
    const tampered = row.note === 'flip a char in the cookie';
    return { query: complete, cookie: tampered ? cookie.replace(/.{3}$/, 'AAA') : cookie };
  }

  const ask = (query: string, cookie: string, method = 'GET') =>
    at.ask(query.startsWith('/') ? query : `/auth/callback?${query}`, {
      method,
      headers: { ...NAVIGATION, cookie },
    });

  async function attempt(row: QueryRow): Promise<undefined> {
    const { query, cookie } = await fill(row);
    if (row.name === 'replayed after failure') {
      const failed = await ask(query.replace(/code=[^&]+/, 'code=wrong'), cookie);
      expect(failed.status).toBe(400);
    }
    const before = at.workos.callsTo('code').length;
    const reply = await ask(query, cookie, row.method);
    judge(row, reply, at.workos.callsTo('code').length - before);
  }

  function judge(row: QueryRow, reply: Reply, exchanged: number): void {
    sound(reply);
    expect(exchanged).toBeLessThanOrEqual(1);
    const signedIn = sessionCookies(reply).length > 0;
    if (reply.location !== undefined) expect(new URL(reply.location).origin).toBe(at.origin);
    expect(reply.body).not.toMatch(/<script|javascript:|<img|alert\(/i);
    if (signedIn) {
      expect(row.expect).toMatch(
        /302|success|consistent|router setting|ignored|unpolluted|encode|decoded|or one/,
      );
      expect(exchanged).toBe(1);
    } else if (/^(302|success)/.test(row.expect) && !/@@STATE_O/.test(row.query) && row.id !== 'cb0085') {
      expect.unreachable(`should sign in: ${reply.status} ${reply.body.slice(0, 300)}`);
    } else if (/no exchange$|no code exchange/.test(row.expect)) expect(exchanged).toBe(0);
    if (row.expect.startsWith(BAD) && !signedIn && row.method === undefined) expect(reply.status).toBe(400);
  }

  // One at a time, because each row's exchanges are counted.
  for (const name of ['callback-queries', 'state-params']) {
    test(`${name}, as the corpus has them`, async (context) => {
      await tryAll(context, { corpus: name, on: framework }, corpus<QueryRow>(name), attempt, 1);
    });
  }

  test('further rows of the same kinds', async (context) => {
    const rows = further().filter((_, index) => index % FRAMEWORKS.length === FRAMEWORKS.indexOf(framework));
    await tryAll(context, { corpus: 'callback, further', on: framework }, rows, attempt, 1);
  });

  test('generated queries sign in if and only if they are valid', async (context) => {
    const all = madeQueries(40).map((query, index) => ({ id: `made${index}`, query }));
    const rows = rowsOn(framework, all);
    const before = at.workos.callsTo('code').length;
    let signedIn = 0;
    await tryAll(context, { corpus: 'callback-queries, made', on: framework }, rows, async ({ query }) => {
      const { state, code, cookie } = await at.begin();
      const issuer = at.workos.url;
      const filled = query
        .replaceAll('@@STATE@@', state)
        .replaceAll('@@CODE@@', code)
        .replaceAll('@@ISSUER@@', encodeURIComponent(issuer));
      const reply = await ask(filled, cookie);
      sound(reply);
      const isIn = sessionCookies(reply).length > 0;
      if (isIn) signedIn += 1;
      expect(isIn, query).toBe(isRight(filled, state, code, issuer));
      if (reply.location !== undefined) expect(new URL(reply.location).origin).toBe(at.origin);
      expect(reply.body).not.toMatch(/<script|javascript:|alert\(/i);
      return 1;
    });
    expect(signedIn).toBeGreaterThan(rows.length / 10);
    // Only a code can cause a call, even one that WorkOS does not know.
    expect(at.workos.callsTo('code').length - before).toBeLessThan(rows.length);
  });

  test('an altered state is rejected, even with a cookie of the same value', async (context) => {
    const rows = Array.from({ length: 40 }, (_, index) => ({ id: `made${index}` }));
    const before = at.workos.callsTo('code').length;
    const begun = await at.begin();
    await tryAll(context, { corpus: 'state-params, made', on: framework }, rows, async () => {
      const state = bent(begun.state);
      const cookie = `${begun.cookie}; wos-auth-verifier-${fingerprint(state)}=${secretOf(begun.cookie)}`;
      const reply = await ask(`code=${begun.code}&state=${encodeURIComponent(state)}`, cookie);
      expect({ status: reply.status, session: sessionCookies(reply) }).toEqual({ status: 400, session: [] });
      return 1;
    });
    expect(at.workos.callsTo('code').length).toBe(before);
    expect(sessionCookies(await at.finish(begun))).toHaveLength(1);
  });
});
