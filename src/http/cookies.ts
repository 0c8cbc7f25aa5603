import { type SetCookie, stringifySetCookie } from 'cookie';
import { AuthKitError } from '../errors.js';
import { ownProperties } from '../own-properties.js';
import type { Request, Response } from './handler-to-middleware.js';
import { header, trimOWS } from './request.js';
import { setCookie } from './response.js';

export interface CookieConfig {
  readonly name: string;
  readonly domain: string | undefined;
  /** Path of the session cookie. The other cookies have the path `/`, which the `__Host-` prefix requires. */
  readonly path: string;
  readonly sameSite: 'lax' | 'strict' | 'none';
  readonly partitioned: boolean;
  /** How long a session is kept, in seconds. */
  readonly maxAge: number;
  /** Whether the session cookie has no `Max-Age`, so the browser discards it when it closes. */
  readonly endsWithBrowser: boolean;
  /** Whether the redirect URI uses https. */
  readonly secure: boolean;
}

/** How long a browser keeps the sign-in marker, in milliseconds. One round of a redirect loop takes a second or two. */
export const SIGN_IN_MARKER_LIFETIME = 10_000;

/**
 * The size of the largest cookie that every browser stores, including its name and attributes, in bytes (RFC 6265
 * section 6.1).
 */
const MAX_COOKIE = 4096;

/**
 * The maximum number of cookies that a session is split into. Three chunks are 12 KB. Node refuses a request whose
 * headers are longer than 16 KB, and most proxies have a lower limit.
 */
const MAX_CHUNKS = 3;

/**
 * How many rows of chunks are tried from each end if a request contains several chunks with the same name. Each row
 * costs an HMAC, and hundreds of small chunks fit into one header.
 */
const MAX_ROWS = 32;

/** How many other combinations of such chunks are tried. */
const MAX_JOINED = 64;

/**
 * The limit for all cookies and the `state` of a callback together, in bytes: the 16 KB of headers that Node accepts,
 * less 2 KB for the request line and the other headers. Above 16 KB, Node answers every request with 431.
 */
const MAX_COOKIE_HEADER = 14_336;

/** How many sign-ins may be open in one browser at a time, for example in several tabs. */
const MAX_TRANSACTIONS = 5;

/**
 * How many cookies of one kind a response clears. A browser only sends more of them if an attacker has planted cookies.
 */
const MAX_CLEARED = 16;

const TRANSACTION = 'wos-auth-verifier-';

/**
 * The name of the sign-in marker. It does not begin with the name of the session cookie, because that name is searched
 * for in the whole `Cookie` header.
 */
const SIGN_IN_MARKER = 'wos-signed-in';

/** The secret of a sign-in: 32 bytes in base64url. */
const SECRET = /^[\w-]{43}$/;

/** The only place that knows the names and attributes of the cookies of this package. */
export interface Cookies {
  /** Every value that may be the session, in the order of the header. */
  sessionValues: (req: Request) => readonly string[];
  /**
   * Sets the session cookie, in chunks if necessary. The cookie is added when the response head is written, and only if
   * `isLive` returns true then.
   *
   * @throws {AuthKitError} `cookie_too_large`
   */
  setSession: (req: Request, res: Response, sealed: string, isLive: () => boolean) => void;
  /**
   * Clears the session cookie and the sign-in marker. If a session was ended on purpose, a new sign-in is not a
   * redirect loop.
   */
  clearSession: (req: Request, res: Response) => void;
  signInMarkerValues: (req: Request) => readonly string[];
  setSignInMarker: (res: Response, sealed: string) => void;
  clearSignInMarker: (req: Request, res: Response) => void;
  /**
   * The secrets that the browser sent for this `state`. There is more than one only if an attacker has planted cookies.
   */
  transactionValues: (req: Request, state: string) => readonly string[];
  /** Sets the cookie of a sign-in, and clears the oldest sign-in cookies if there are too many. */
  setTransaction: (req: Request, res: Response, state: string, secret: string) => void;
  clearTransaction: (res: Response, state: string) => void;
  clearTransactions: (req: Request, res: Response) => void;
}

type Attributes = NonNullable<Parameters<typeof stringifySetCookie>[2]>;

/**
 * Creates the functions that read and write this package's cookies.
 *
 * @param signInLifetime How long a browser keeps the cookie of a sign-in, in seconds.
 */
export function createCookies(config: CookieConfig, signInLifetime: number): Cookies {
  const { domain, sameSite, secure, partitioned } = config;
  const shared: Attributes = {
    path: '/',
    httpOnly: true,
    secure,
    ...(domain === undefined ? {} : { domain }),
    ...(partitioned ? { partitioned } : {}),
  };
  const prefix = namePrefix(config);
  // Never `strict`: browsers do not send `strict` cookies to the callback, because it is a cross-site navigation.
  const lax = sameSite === 'none' ? 'none' : 'lax';
  const session = sessionCookie(config, { ...shared, path: config.path, sameSite });
  // The marker has the `SameSite` attribute of the session, so browsers send both cookies with the same requests.
  const marker = { ...shared, sameSite, maxAge: SIGN_IN_MARKER_LIFETIME / 1000 };
  const signInMarker = signInMarkerCookie(prefix + SIGN_IN_MARKER, marker);
  const transaction = { ...shared, sameSite: lax, maxAge: signInLifetime } as const;
  return {
    ...session,
    ...signInMarker,
    ...transactionCookies(prefix + TRANSACTION, transaction),
    clearSession(req, res) {
      session.clearSession(req, res);
      signInMarker.clearSignInMarker(req, res);
    },
  };
}

/**
 * The name prefix of the cookies other than the session cookie. `__Host-` prevents other hosts of the domain from
 * setting such a cookie (RFC 6265bis section 4.1.3). The session cookie has no prefix by default, because the other
 * WorkOS SDKs look for it under its plain name.
 */
function namePrefix({ secure, domain }: CookieConfig): string {
  if (!secure) return '';
  return domain === undefined ? '__Host-' : '__Secure-';
}

/** Creates the functions that set and clear cookies. Both use the same attributes. */
function writer(attributes: Attributes) {
  return {
    send: (res: Response, name: string, value: string) => {
      setCookie(res, name, () => setCookieLine(name, value, attributes));
    },
    expire: (res: Response, name: string) => {
      setCookie(res, name, () => expiredLine(name, attributes));
    },
  };
}

function setCookieLine(name: string, value: string, attributes: Attributes): string {
  // The copy has no prototype, so a polluted `Object.prototype` cannot add attributes.
  const cookie = Object.assign(Object.create(null), attributes, { name, value }) as Attributes & SetCookie;
  return stringifySetCookie(cookie, { encode: (text) => text });
}

/**
 * The `Set-Cookie` value that deletes a cookie. It contains `Expires` as well as `Max-Age`, because some clients, such
 * as supertest's cookie jar, do not support `Max-Age`.
 */
function expiredLine(name: string, attributes: Attributes): string {
  return setCookieLine(name, '', { ...attributes, maxAge: 0, expires: new Date(0) });
}

type SessionCookie = Pick<Cookies, 'sessionValues' | 'setSession' | 'clearSession'>;

function sessionCookie(config: CookieConfig, attributes: Attributes): SessionCookie {
  const { name, maxAge, endsWithBrowser } = config;
  const lasting: Attributes = endsWithBrowser ? attributes : { ...attributes, maxAge };
  const room = MAX_COOKIE - setCookieLine(`${name}.0`, '', lasting).length;
  const isOurs = (key: string) => key === name || isChunk(name, key);
  const expire = (res: Response, key: string) => {
    setCookie(res, key, () => expiredLine(key, attributes), 'last');
  };
  // The names are sorted by index, so the chunks that a session can have come first.
  const sessionNames = (req: Request) =>
    namesOf(present(req, isOurs))
      .sort((a, b) => a.length - b.length || (a < b ? -1 : 1))
      .slice(0, MAX_CLEARED);
  return {
    sessionValues(req) {
      const only = onlyValue(header(req, 'cookie'), name);
      if (only !== undefined) return only;
      const found = present(req, isOurs);
      const whole = found.filter(([key]) => key === name).map(([, value]) => value);
      // Both forms are returned, because a planted cookie of one form must not hide a session in the other form.
      return [...new Set([...whole, ...joined(name, found)])];
    },
    setSession(req, res, sealed, isLive) {
      const pieces = split(sealed, room);
      if (pieces.length > MAX_CHUNKS) {
        const size = `the session has ${sealed.length} bytes, and three cookies hold ${room * MAX_CHUNKS}`;
        throw new AuthKitError('cookie_too_large', size);
      }
      const names = sessionNames(req);
      // Leftover chunks of an earlier session would be read as part of this one.
      for (const key of names) expire(res, key);
      clearHostOnly(res, names, attributes);
      pieces.forEach((piece, i) => {
        const key = pieces.length === 1 ? name : `${name}.${i}`;
        setCookie(res, key, () => (isLive() ? setCookieLine(key, piece, lasting) : undefined), 'last');
      });
    },
    clearSession(req, res) {
      const names = sessionNames(req);
      clearHostOnly(res, names, attributes);
      for (const key of new Set([name, ...names])) expire(res, key);
    },
  };
}

/**
 * Clears host-only cookies. If the application has set `cookie.domain` only recently, a browser may still have a
 * host-only cookie from before. The browser sends both cookies, and the server cannot tell them apart.
 */
function clearHostOnly(res: Response, names: readonly string[], attributes: Attributes): void {
  const { domain, ...hostOnly } = ownProperties(attributes);
  if (domain === undefined) return;
  for (const key of names) setCookie(res, `${key} of this host`, () => expiredLine(key, hostOnly));
}

type SignInMarkerCookie = Pick<Cookies, 'signInMarkerValues' | 'setSignInMarker' | 'clearSignInMarker'>;

function signInMarkerCookie(name: string, attributes: Attributes): SignInMarkerCookie {
  const { expire } = writer(attributes);
  const signInMarkerValues = (req: Request) => present(req, (key) => key === name).map(([, value]) => value);
  return {
    signInMarkerValues,
    setSignInMarker(res, sealed) {
      setCookie(res, name, () => setCookieLine(name, sealed, attributes), 'first');
    },
    clearSignInMarker(req, res) {
      if (signInMarkerValues(req).length > 0) expire(res, name);
    },
  };
}

type TransactionCookies = Pick<
  Cookies,
  'transactionValues' | 'setTransaction' | 'clearTransaction' | 'clearTransactions'
>;

function transactionCookies(prefix: string, attributes: Attributes): TransactionCookies {
  const { send, expire } = writer(attributes);
  const isOurs = (key: string) => key.startsWith(prefix);
  const nameOf = (state: string) => prefix + fingerprint(state);
  return {
    transactionValues(req, state) {
      const name = nameOf(state);
      const values = present(req, (key) => key === name).map(([, value]) => value);
      return values.filter((value) => SECRET.test(value));
    },
    setTransaction(req, res, state, secret) {
      const name = nameOf(state);
      const room = headerRoom(req) - sizeOf([[name, secret]]);
      for (const old of surplus(present(req, isOurs), room)) expire(res, old);
      send(res, name, secret);
    },
    clearTransaction(res, state) {
      expire(res, nameOf(state));
    },
    clearTransactions(req, res) {
      for (const name of namesOf(present(req, isOurs)).slice(0, MAX_CLEARED)) expire(res, name);
    },
  };
}

/**
 * Returns the 8 hex digits in the name of a transaction cookie: the FNV-1a-32 hash of `state`. Several sign-ins can be
 * open at a time, each with its own cookie. Security does not depend on the hash: if two states have the same hash, the
 * secret in the cookie does not match.
 */
export function fingerprint(state: string): string {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(state)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash.toString(16).padStart(8, '0');
}

/** How many bytes are left for further cookies and for `state` in the headers, given the cookies of this request. */
export function headerRoom(req: Request): number {
  return MAX_COOKIE_HEADER - (header(req, 'cookie') ?? '').length;
}

/**
 * Returns the names of the oldest transaction cookies, which have to be cleared to make room for a new one. Browsers
 * send the oldest cookies first (RFC 6265 section 5.4).
 *
 * @param room How many bytes are left in the header; negative if the cookies are already too long.
 */
function surplus(pending: readonly Pair[], room: number): string[] {
  let first = Math.max(0, pending.length - (MAX_TRANSACTIONS - 1));
  let left = room + sizeOf(pending.slice(0, first));
  for (; left < 0 && first < pending.length; first += 1) left += sizeOf(pending.slice(first, first + 1));
  return namesOf(pending.slice(0, first)).slice(0, MAX_CLEARED);
}

function sizeOf(pairs: readonly Pair[]): number {
  return pairs.reduce((sum, [name, value]) => sum + name.length + value.length + '=; '.length, 0);
}

type Pair = readonly [name: string, value: string];

function present(req: Request, isOurs: (key: string) => boolean): Pair[] {
  return pairs(header(req, 'cookie')).filter(([key]) => isOurs(key));
}

function namesOf(pairs: readonly Pair[]): string[] {
  return [...new Set(pairs.map(([name]) => name))];
}

function isChunk(name: string, key: string): boolean {
  return key.startsWith(`${name}.`) && /^(?:0|[1-9]\d?)$/.test(key.slice(name.length + 1));
}

/**
 * Joins chunks into every value that may be a session. If there are several chunks with the same name, the first chunks
 * of all names are joined, then the second ones, and so on. The same is then done from the end. This finds the session
 * among any number of planted chunks that are sent before or after it, and among a limited number on both sides. Other
 * combinations follow, up to a limit.
 */
function joined(name: string, found: readonly Pair[]): string[] {
  const all = Array.from({ length: MAX_CHUNKS }, (_, i) =>
    found.filter(([key]) => key === `${name}.${i}`).map(([, value]) => value),
  );
  const gap = all.findIndex((values) => values.length === 0);
  const chunks = gap === -1 ? all : all.slice(0, gap);
  const values = new Set<string>();
  const longest = Math.min(MAX_ROWS, Math.max(0, ...chunks.map(({ length }) => length)));
  const row = (index: (length: number) => number) => chunks.map((one) => one[index(one.length)] ?? '');
  for (let nth = 0; nth < longest; nth += 1)
    addPrefixes(
      row((length) => Math.min(nth, length - 1)),
      values,
    );
  for (let nth = 0; nth < longest; nth += 1)
    addPrefixes(
      row((length) => Math.max(length - 1 - nth, 0)),
      values,
    );
  for (const other of combinations(chunks, MAX_JOINED)) addPrefixes(other, values);
  return [...values];
}

/**
 * Adds all chunks, joined, and then the same chunks without the last one, without the last two, and so on. The last
 * chunks may be left over from a longer session.
 */
function addPrefixes(chunks: readonly string[], values: Set<string>): void {
  for (let count = chunks.length; count > 0; count -= 1) values.add(chunks.slice(0, count).join(''));
}

function combinations(chunks: readonly (readonly string[])[], limit: number): string[][] {
  let rows: string[][] = [[]];
  for (const values of chunks) {
    rows = rows.flatMap((row) => values.slice(0, limit).map((value) => [...row, value])).slice(0, limit);
  }
  return rows;
}

function split(text: string, size: number): string[] {
  const count = Math.ceil(text.length / size);
  return Array.from({ length: count }, (_, i) => text.slice(i * size, (i + 1) * size));
}

/**
 * Parses a `Cookie` header into pairs, in order. The `cookie` package keeps only the first value of each name, but the
 * real cookie may be the second one. The order also shows which transaction is the oldest.
 */
export function pairs(header: string | undefined): Pair[] {
  const found: Pair[] = [];
  for (const pair of (header ?? '').split(';')) {
    const equals = pair.indexOf('=');
    if (equals !== -1) found.push([trimOWS(pair.slice(0, equals)), trimOWS(pair.slice(equals + 1))]);
  }
  return found;
}

const NONE: readonly string[] = [];

/**
 * Finds the values of a cookie without parsing the header. This works in the usual case, in which the name does not
 * occur in the header, or occurs once, as the name of a cookie. Parsing the whole header would take longer than all
 * other work for a request with a cached session.
 *
 * @returns `undefined` if the header has to be parsed.
 */
function onlyValue(header: string | undefined, name: string): readonly string[] | undefined {
  if (header === undefined) return NONE;
  const start = header.indexOf(name);
  if (start === -1) return NONE;
  const equals = start + name.length;
  if (header[equals] !== '=' || (start > 0 && !header.startsWith('; ', start - 2))) return undefined;
  const end = header.indexOf(';', equals);
  if (end === -1) return [trimOWS(header.slice(equals + 1))];
  // A second cookie of this name can begin after this one, but not inside its value.
  return header.includes(name, end) ? undefined : [trimOWS(header.slice(equals + 1, end))];
}
