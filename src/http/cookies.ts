import { type SetCookie, stringifySetCookie } from 'cookie';
import { AuthKitError } from '../errors.js';
import { ownProperties } from '../plain-objects.js';
import type { Request, Response } from './handler-to-middleware.js';
import { header, trimOWS } from './request.js';
import { setCookie } from './response.js';

export interface CookieConfig {
  readonly name: string;
  readonly domain: string | undefined;
  /** The path of the session cookie. All other cookies have the path `/`, which the `__Host-` prefix requires. */
  readonly path: string;
  readonly sameSite: 'lax' | 'strict' | 'none';
  readonly partitioned: boolean;
  /** How long browsers keep the session cookie, in seconds. */
  readonly maxAge: number;
  /** Whether the session cookie is sent without `Max-Age`. If so, browsers discard the cookie when they are closed. */
  readonly endsWithBrowser: boolean;
  /** Whether the redirect URI uses https. If so, all cookies are `Secure`. */
  readonly secure: boolean;
}

/**
 * How long a browser keeps the sign-in marker, in milliseconds. The marker detects redirect loops, and one round of
 * such a loop takes a second or two.
 */
export const SIGN_IN_MARKER_LIFETIME = 10_000;

/**
 * The maximum size of a cookie in bytes, including its name and attributes. Every browser accepts cookies up to this
 * size (RFC 6265 section 6.1).
 */
const MAX_COOKIE = 4096;

/**
 * The maximum number of cookies into which a session is split. Three chunks hold up to 12 KB. Node refuses requests
 * with more than 16 KB of headers, and most proxies have a lower limit.
 */
export const MAX_CHUNKS = 3;

/**
 * If a request contains several chunks with the same name, {@link joined} combines chunks in rows. It builds up to this
 * many rows from the start, and as many from the end. The number is limited because each row costs an HMAC, and
 * hundreds of small chunks fit into one header.
 */
const MAX_ROWS = 32;

/** The maximum number of other chunk combinations that are tried after the rows. */
const MAX_JOINED = 64;

/**
 * The maximum total size of all cookies and the `state` of a callback, in bytes. Node accepts 16 KB of headers and
 * responds to larger requests with 431. Of these 16 KB, 2 KB are reserved for the request line and the other headers.
 */
const MAX_COOKIE_HEADER = 14_336;

/**
 * The maximum number of sign-ins that can be in progress in one browser at the same time, for example, in several tabs.
 */
const MAX_TRANSACTIONS = 5;

/**
 * The maximum number of cookies of one kind that a response clears. A browser sends more than that only if an attacker
 * has planted cookies.
 */
const MAX_CLEARED = 16;

const TRANSACTION = 'wos-auth-verifier-';

/**
 * The name of the sign-in marker. It does not contain the default name of the session cookie, because {@link onlyValue}
 * searches the whole `Cookie` header for that name.
 */
const SIGN_IN_MARKER = 'wos-signed-in';

/** Matches the secret of a sign-in: 32 bytes in base64url. */
const SECRET = /^[\w-]{43}$/;

/** Reads and writes the cookies of this package. Only this file knows their names and attributes. */
export interface Cookies {
  /**
   * Returns every value that may be the session: first the values of unsplit cookies in header order, then the values
   * joined from chunks.
   */
  sessionValues: (req: Request) => readonly string[];
  /**
   * Sets the session cookie, in chunks if necessary, and clears the request's other session cookies. Both happen when
   * the response head is written, but only if `isLive` returns true at that time.
   *
   * @param isLive Returns false if the session has ended or has been replaced in the meantime.
   * @throws {AuthKitError} `cookie_too_large` if the session does not fit into three cookies.
   */
  setSession: (req: Request, res: Response, sealed: string, isLive: () => boolean) => void;
  /**
   * Clears the session cookie when the response head is written, but only if `isCurrent` returns true at that time.
   *
   * @param isCurrent Returns whether the session to clear is still the browser's current one. Default: always true.
   */
  clearSession: (req: Request, res: Response, isCurrent?: () => boolean) => void;
  signInMarkerValues: (req: Request) => readonly string[];
  setSignInMarker: (res: Response, sealed: string) => void;
  clearSignInMarker: (req: Request, res: Response) => void;
  /**
   * Returns the secrets that the browser sent for this `state`. There is more than one secret only if an attacker has
   * planted cookies.
   */
  transactionValues: (req: Request, state: string) => readonly string[];
  /** Sets the transaction cookie of a sign-in. If there are too many transaction cookies, clears the oldest ones. */
  setTransaction: (req: Request, res: Response, state: string, secret: string) => void;
  clearTransaction: (res: Response, state: string) => void;
  clearTransactions: (req: Request, res: Response) => void;
}

type Attributes = NonNullable<Parameters<typeof stringifySetCookie>[2]>;

/**
 * Creates the functions that read and write this package's cookies.
 *
 * @param signInLifetime How long a browser keeps the transaction cookie of a sign-in, in seconds.
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
  // The transaction cookie is never `strict`: WorkOS redirects to the callback, and browsers do not send `strict`
  // cookies with such a cross-site navigation.
  const lax = sameSite === 'none' ? 'none' : 'lax';
  // The marker has the same `SameSite` attribute as the session cookie, so browsers send both cookies with the same
  // requests.
  const marker = { ...shared, sameSite, maxAge: SIGN_IN_MARKER_LIFETIME / 1000 };
  const transaction = { ...shared, sameSite: lax, maxAge: signInLifetime } as const;
  return {
    ...sessionCookie(config, { ...shared, path: config.path, sameSite }),
    ...signInMarkerCookie(prefix + SIGN_IN_MARKER, marker),
    ...transactionCookies(prefix + TRANSACTION, transaction),
  };
}

/**
 * Returns the name prefix of all cookies except the session cookie. `__Host-` prevents other hosts in the same domain
 * from setting the cookie (RFC 6265bis section 4.1.3). It cannot be combined with `cookie.domain`, so `__Secure-` is
 * used with that option. Both prefixes require https, so there is no prefix over http. The session cookie has no prefix
 * by default, because other WorkOS SDKs look for it by its plain name.
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
 * Returns the `Set-Cookie` value that deletes a cookie. It contains `Expires` as well as `Max-Age`, because some
 * clients, such as supertest's cookie jar, do not support `Max-Age`.
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
  const expire = (res: Response, names: Iterable<string>, isCurrent: () => boolean) => {
    clearHostOnly(res, names, attributes, isCurrent);
    for (const key of names)
      setCookie(res, key, () => (isCurrent() ? expiredLine(key, attributes) : undefined), 'last');
  };
  // The names are sorted by index, so the limit does not cut off any chunk that can be part of a session.
  const sessionNames = (req: Request) =>
    namesOf(present(req, isOurs))
      .sort((a, b) => a.length - b.length || (a < b ? -1 : 1))
      .slice(0, MAX_CLEARED);
  // Browsers do not send `strict` cookies to the callback, so the names of an earlier session's cookies are not known
  // there. All possible names are cleared.
  const unsentNames =
    config.sameSite === 'strict'
      ? [name, ...Array.from({ length: MAX_CHUNKS }, (_, i) => `${name}.${i}`)]
      : [];
  return {
    sessionValues(req) {
      const only = onlyValue(header(req, 'cookie'), name);
      if (only !== undefined) return only;
      const found = present(req, isOurs);
      const whole = found.filter(([key]) => key === name).map(([, value]) => value);
      // Both unsplit cookies and joined chunks are returned, because a planted cookie of one form must not hide a
      // session in the other form.
      return [...new Set([...whole, ...joined(name, found)])];
    },
    setSession(req, res, sealed, isLive) {
      const pieces = split(sealed, room);
      if (pieces.length > MAX_CHUNKS) {
        const size = `the session has ${sealed.length} bytes, and three cookies hold ${room * MAX_CHUNKS}`;
        throw new AuthKitError('cookie_too_large', size);
      }
      // Without this step, cookies left over from an earlier session would be read together with the new session.
      expire(res, new Set([...unsentNames, ...sessionNames(req)]), isLive);
      pieces.forEach((piece, i) => {
        const key = pieces.length === 1 ? name : `${name}.${i}`;
        setCookie(res, key, () => (isLive() ? setCookieLine(key, piece, lasting) : undefined), 'last');
      });
    },
    clearSession(req, res, isCurrent = () => true) {
      expire(res, new Set([name, ...sessionNames(req)]), isCurrent);
    },
  };
}

/**
 * Clears the host-only cookies with these names. If the application set `cookie.domain` only recently, a browser may
 * still have a host-only cookie from before that change. The browser then sends both cookies, and the server cannot
 * tell them apart.
 */
function clearHostOnly(
  res: Response,
  names: Iterable<string>,
  attributes: Attributes,
  isCurrent: () => boolean,
): void {
  const { domain, ...hostOnly } = ownProperties(attributes);
  if (domain === undefined) return;
  for (const key of names)
    setCookie(res, `${key} of this host`, () => (isCurrent() ? expiredLine(key, hostOnly) : undefined));
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
 * Returns the 8 hex digits in the name of a transaction cookie: the FNV-1a-32 hash of `state`. The name is different
 * for each sign-in, so several sign-ins can be in progress at the same time. Security does not depend on the hash: if
 * two states have the same hash, the secret in the cookie matches only one of them.
 */
export function fingerprint(state: string): string {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(state)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash.toString(16).padStart(8, '0');
}

/** Returns how many bytes the cookies of this request leave for further cookies and for `state`. */
export function headerRoom(req: Request): number {
  return MAX_COOKIE_HEADER - (header(req, 'cookie') ?? '').length;
}

/**
 * Returns the names of the transaction cookies that must be cleared to make room for a new one. These are the oldest
 * cookies, which browsers send first (RFC 6265 section 5.4).
 *
 * @param room How many bytes of the header would be left if the new cookie were added and none were cleared. Can be
 * negative.
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
 * Joins chunks into the values that may be a session. If there are several chunks with the same name, they are joined
 * in rows: the first row consists of the first chunk of each name, the second row of the second chunks, and so on. Next
 * come rows that are counted from the end, and then other combinations, up to a limit.
 *
 * If an attacker has planted chunks, the session is still found if the browser sends all planted chunks before the
 * session's own chunks, or all of them after. If it sends planted chunks both before and after, the session is found
 * only if there are few of them.
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
 * Adds the value that all chunks form together, then the value without the last chunk, then without the last two, and
 * so on, because the last chunks may be left over from an earlier, longer session.
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
 * Parses a `Cookie` header into name-value pairs, in header order. The `cookie` package is not used, because it keeps
 * only the first value for each name, but the genuine value may be the second one. The order shows which transaction is
 * the oldest.
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
 * Finds the value of a cookie without parsing the whole header. Parsing would take longer than all other work for a
 * request with a cached session. This shortcut works in the two usual cases: the name does not occur in the header, or
 * it occurs once, as a cookie name.
 *
 * @returns A list of at most one value, or `undefined` if the header must be parsed.
 */
function onlyValue(header: string | undefined, name: string): readonly string[] | undefined {
  if (header === undefined) return NONE;
  const start = header.indexOf(name);
  if (start === -1) return NONE;
  const equals = start + name.length;
  if (header[equals] !== '=' || (start > 0 && !header.startsWith('; ', start - 2))) return undefined;
  const end = header.indexOf(';', equals);
  if (end === -1) return [trimOWS(header.slice(equals + 1))];
  // A second cookie with this name can only begin after this cookie's value, so only that part of the header is
  // searched.
  return header.includes(name, end) ? undefined : [trimOWS(header.slice(equals + 1, end))];
}
