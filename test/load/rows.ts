import { seal } from '../../src/session/iron-seal.js';
import { fingerprint } from '../../src/http/cookies.js';
import { newTransaction, sealTransaction } from '../../src/routes/sign-in-transaction.js';
import { corpus, corpusKeys, type Row } from '../support/corpora.js';
import { MUTATIONS } from '../support/states.js';
import { KEYS, USER, VALID } from './upstream.js';

interface AnyRow extends Row {
  input: string;
  query: string;
  method?: string;
  header: string | string[];
  value: unknown;
  token: string;
  path: string;
  field: string;
  headers: Record<string, string>;
}

/** How a row of a corpus becomes requests, word for word as they go out. */
type Make = (row: AnyRow, origin: string, round: number) => Promise<string[]>;

const PASSWORDS = corpusKeys('seal-keys') as { password: string; previousPassword: string };
export const cookiePassword = [PASSWORDS.password, PASSWORDS.previousPassword];

const NAVIGATION = 'Accept: text/html\r\nSec-Fetch-Mode: navigate\r\n';
const get = (target: string, lines: string, method = 'GET') =>
  `${method} ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\n${lines}\r\n`;
const session = (accessToken: string, refreshToken: string) =>
  seal({ accessToken, refreshToken, user: USER }, PASSWORDS.password);

/** A request for the guarded page by somebody who is signed in. */
export async function signedIn(refreshToken = 'rt'): Promise<string> {
  return get('/account', `${NAVIGATION}Cookie: wos-session=${await session(VALID, refreshToken)}\r\n`);
}

interface StateFields {
  returnTo?: string;
  age?: number;
  password?: string;
  clientId?: string;
  redirectUri?: string;
}

/** Of the states that were sealed here. */
const secrets = new Map<string, string>();

async function stateOf(origin: string, { returnTo = '/', age = 0, password, ...binding }: StateFields = {}) {
  const { transaction, secret } = newTransaction({ returnTo }, (KEYS.now - age) * 1000);
  const { clientId } = KEYS;
  const bound = { clientId, redirectUri: `${origin}/auth/callback`, ...binding };
  const state = await sealTransaction(transaction, {
    ...bound,
    cookiePasswords: [password ?? PASSWORDS.password],
  });
  secrets.set(state, secret);
  return state;
}

const callback = (query: string, state: string, method?: string) =>
  get(
    query.startsWith('/') ? query : `/auth/callback?${query}`,
    `${NAVIGATION}Cookie: wos-auth-verifier-${fingerprint(state)}=${secrets.get(state) ?? 'x'.repeat(43)}\r\n`,
    method,
  );

/** As the query parameter, sealed straight into a valid state, and as the request target that a guard remembers. */
const redirects: Make = async ({ input }, origin) => {
  const state = await stateOf(origin, { returnTo: input });
  const query = new URLSearchParams({ returnTo: input }).toString();
  return [
    get(`/auth/login?${query}`, NAVIGATION),
    callback(`code=c&state=${encodeURIComponent(state)}`, state),
    get(input, NAVIGATION),
  ];
};

const STATES: readonly [RegExp, (match: string[]) => StateFields][] = [
  [/@@STATE_WITH_RETURNTO:([^]*)@@/, ([, returnTo = '']) => ({ returnTo })],
  [/@@STATE_AGED_(-?\d+)@@/, ([, age]) => ({ age: Number(age) })],
  [/@@STATE_OLDPW@@/, () => ({ password: PASSWORDS.previousPassword })],
  [/@@STATE_WRONGPW@@/, () => ({ password: 'nobody-knows-this-password-0123456789' })],
  [/@@STATE_OTHER_CLIENT@@/, () => ({ clientId: 'client_other' })],
  [/@@STATE_OTHER_REDIRECT@@/, () => ({ redirectUri: 'https://other.example/callback' })],
];

const answers: Make = async ({ query, method }, origin) => {
  for (const [pattern, fields] of STATES) {
    const match = pattern.exec(query);
    if (!match) continue;
    const state = await stateOf(origin, fields(match));
    return [callback(query.replace(match[0], state), state, method)];
  }
  const [state, other] = await Promise.all([stateOf(origin), stateOf(origin)]);
  const filled = query
    .replaceAll('@@STATE@@', state)
    .replaceAll('@@STATE_OTHER_BROWSER@@', other)
    .replaceAll('@@SESSION_SEAL@@', await session(VALID, 'rt'))
    .replace(/@@STATE:(\w+)@@/, (_, name: string) => MUTATIONS[name]!(state));
  return [callback(filled, state, method)];
};

const cookies: Make = async ({ header }) => {
  const valid = await session(VALID, 'rt');
  const half = Math.ceil(valid.length / 2);
  const fill = (text: string) =>
    text
      .replaceAll(/@@VALID2?@@/g, valid)
      .replaceAll('@@CHUNK0@@', valid.slice(0, half))
      .replaceAll('@@CHUNK1@@', valid.slice(half));
  return [
    get(
      '/account',
      [header]
        .flat()
        .map((one) => `Cookie: ${fill(one)}\r\n`)
        .join(''),
    ),
  ];
};

const seals: Make = async ({ value }) => [get('/account', `Cookie: wos-session=${String(value)}\r\n`)];

/** What the header or the cookie of a browser can hold; a longer one is refused by Node. */
const MAX_TOKEN = 9000;
const tokens: Make = async ({ id, token }, _origin, round) => {
  const cookie = await session(token.slice(0, MAX_TOKEN) || ' ', `rt_${id}_${round}`);
  return [
    get('/account', `Cookie: wos-session=${cookie}\r\n`),
    get('/account', `Authorization: Bearer ${token}\r\n`),
  ];
};

const headers: Make = async ({ path, headers: given }) => {
  const own = given['host'] === undefined ? { host: '127.0.0.1', ...given } : given;
  const lines = Object.entries(own).map(([name, value]) => `${name}: ${value.replace('@@JWT@@', VALID)}\r\n`);
  return [`GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`];
};

const COOKIE_FIELDS: Readonly<Record<string, string>> = {
  cookieName: 'name',
  cookieDomain: 'domain',
  cookiePath: 'path',
  sameSite: 'sameSite',
  maxAge: 'maxAge',
};
const settings: Make = async ({ field, value }) => {
  const inCookie = COOKIE_FIELDS[field];
  const options = inCookie === undefined ? { [field]: value } : { cookie: { [inCookie]: value } };
  return [get(`/configure?options=${encodeURIComponent(JSON.stringify(options))}`, NAVIGATION)];
};

/** At the callback, and as a session whose token has expired. */
const failures: Make = async ({ id }, origin) => {
  const state = await stateOf(origin);
  const cookie = await session(EXPIRED, id);
  return [
    callback(`code=${id}&state=${encodeURIComponent(state)}`, state),
    get('/account', `Cookie: wos-session=${cookie}\r\n`),
  ];
};
const EXPIRED = corpus<Row & { name: string; token: string }>('jwts').find(({ name }) =>
  /expired/i.test(name),
)!.token;

const MAKERS: Readonly<Record<string, Make>> = {
  'open-redirect': redirects,
  'open-redirect-accept': redirects,
  'callback-queries': answers,
  'state-params': answers,
  'cookie-headers': cookies,
  seals,
  'seal-bitflips': seals,
  jwts: tokens,
  headers,
  'config-values': settings,
  'workos-failures': failures,
};

/** Every file of the corpora that holds requests, and what it is about. */
export const CORPORA = Object.keys(MAKERS);

/** The requests of a corpus once over, made anew: states are spent, and sessions remembered. */
export async function requestsOf(name: string, origin: string, round: number): Promise<string[]> {
  const made = await Promise.all(corpus<AnyRow>(name).map((row) => MAKERS[name]!(row, origin, round)));
  return made.flat();
}
