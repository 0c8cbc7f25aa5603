import { stringifySetCookie } from 'cookie';
import { AuthKitError } from '../errors.js';
import type { Request, Response } from './middleware.js';
import { header } from './request.js';
import { setCookie } from './response.js';

export interface CookieConfig {
  readonly name: string;
  readonly domain: string | undefined;
  readonly sameSite: 'lax' | 'strict' | 'none';
  /** Seconds. */
  readonly maxAge: number;
  /** Follows from the redirect URI. */
  readonly secure: boolean;
}

/** 10 minutes: enough for a slow sign-in with a second factor, and no more. In milliseconds. */
export const TRANSACTION_LIFETIME = 600_000;

/**
 * The 8 hex digits that name the cookie of a state: FNV-1a-32, as the other AuthKit SDKs do.
 * A name, not a safeguard: a collision leads to another flow's cookie, and that does not compare equal.
 */
export function fingerprint(state: string): string {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(state)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash.toString(16).padStart(8, '0');
}

/** A circle takes a second or two, with a slow WorkOS a few; in milliseconds. */
export const SIGN_IN_MARKER_LIFETIME = 10_000;

/** What a browser keeps of one cookie, name and attributes included (RFC 6265 section 6.1), in bytes. */
const MAX_COOKIE = 4096;

/** Three chunks are 12 KB; Node refuses a request whose headers pass 16 KB, and most proxies sooner. */
const MAX_CHUNKS = 3;

/** Cookies of one name that are tried: a sub-domain may have planted one (cookie tossing). */
const MAX_DUPLICATES = 3;

const TRANSACTION_PREFIX = 'wos-auth-verifier-';

/** Flows that may be under way in one browser: a person has a few tabs, and a Cookie header has a limit. */
const MAX_PENDING = 5;

const MAX_PENDING_BYTES = 6144;

/** Longest sealed transaction, in bytes. */
export const MAX_TRANSACTION = 3800;

/** The session's default name is no part of it: that is looked for in the whole header. */
const SIGN_IN_MARKER = 'wos-signed-in';

/** The only place that knows the names and attributes of our cookies. */
export interface Cookies {
  /** Values of the session cookie that may be the session, likeliest first. */
  sessionValues: (req: Request) => readonly string[];
  /**
   * Sets the session, in chunks if it must be, as the head is written and only if it still `isLive` then.
   *
   * @throws {AuthKitError} `cookie_too_large`
   */
  setSession: (req: Request, res: Response, sealed: string, isLive: () => boolean) => void;
  /** Clears the signInMarker too: what is ended on purpose is not missed. */
  clearSession: (req: Request, res: Response) => void;
  /** Values of the cookie that tells of a sign-in seconds ago. */
  signInMarkerValues: (req: Request) => readonly string[];
  setSignInMarker: (res: Response, sealed: string) => void;
  clearSignInMarker: (req: Request, res: Response) => void;
  /** Values of the cookie that belongs to this state: more than one only if somebody planted them. */
  transactionValues: (req: Request, state: string) => readonly string[];
  /** Sets the cookie of a flow, and drops the oldest ones beyond what a browser should carry. */
  setTransaction: (req: Request, res: Response, sealed: string) => void;
  clearTransaction: (res: Response, state: string) => void;
  clearTransactions: (req: Request, res: Response) => void;
}

type Attributes = Parameters<typeof stringifySetCookie>[2];

export function createCookies(config: CookieConfig): Cookies {
  const { domain, sameSite, maxAge, secure } = config;
  const shared = { path: '/', httpOnly: true, secure, ...(domain === undefined ? {} : { domain }) };
  // Never strict: the callback is a cross-site navigation.
  const lax = sameSite === 'none' ? 'none' : 'lax';
  const session = sessionCookie(config.name, { ...shared, sameSite, maxAge });
  // Sent along with just the requests that the session is sent with.
  const signInMarker = signInMarkerCookie({ ...shared, sameSite, maxAge: SIGN_IN_MARKER_LIFETIME / 1000 });
  return {
    ...session,
    ...signInMarker,
    ...transactionCookies({ ...shared, sameSite: lax, maxAge: TRANSACTION_LIFETIME / 1000 }),
    clearSession(req, res) {
      session.clearSession(req, res);
      signInMarker.clearSignInMarker(req, res);
    },
  };
}

/** Sets and clears with one value, so that the attributes of both cannot part. */
function writer(attributes: Attributes) {
  return {
    send: (res: Response, key: string, value: string, isLive = () => true) => {
      setCookie(res, key, () => (isLive() ? line(key, value, attributes) : undefined));
    },
    expire: (res: Response, key: string) => {
      setCookie(res, key, () => line(key, '', { ...attributes, maxAge: 0 }));
    },
  };
}

type SessionCookie = Pick<Cookies, 'sessionValues' | 'setSession' | 'clearSession'>;

function sessionCookie(name: string, attributes: Attributes): SessionCookie {
  const { send, expire } = writer(attributes);
  const room = MAX_COOKIE - line(`${name}.0`, '', attributes).length;
  const isOurs = (key: string) => key === name || isChunk(name, key);
  return {
    sessionValues(req) {
      const only = onlyValue(header(req, 'cookie'), name);
      if (only !== undefined) return only;
      const found = present(req, isOurs);
      const whole = found.filter(([key]) => key === name).map(([, value]) => value);
      // A planted cookie of one form must not hide the session in the other: that would send people in circles.
      const pieced = [...joined(name, found), ...joined(name, found.reverse())];
      return [...new Set([...whole.slice(0, MAX_DUPLICATES), ...pieced])];
    },
    setSession(req, res, sealed, isLive) {
      const pieces = split(sealed, room);
      if (pieces.length > MAX_CHUNKS) {
        const size = `the session has ${sealed.length} bytes and fits no cookie`;
        throw new AuthKitError('cookie_too_large', size);
      }
      // What is left of another form would be read as part of this one. What is sent replaces its own end.
      for (const [key] of present(req, isOurs)) expire(res, key);
      pieces.forEach((piece, i) => {
        send(res, pieces.length === 1 ? name : `${name}.${i}`, piece, isLive);
      });
    },
    clearSession(req, res) {
      for (const key of [name, ...present(req, isOurs).map(([key]) => key)]) expire(res, key);
    },
  };
}

type SignInMarkerCookie = Pick<Cookies, 'signInMarkerValues' | 'setSignInMarker' | 'clearSignInMarker'>;

function signInMarkerCookie(attributes: Attributes): SignInMarkerCookie {
  const { send, expire } = writer(attributes);
  const signInMarkerValues = (req: Request) =>
    present(req, (key) => key === SIGN_IN_MARKER)
      .map(([, value]) => value)
      .slice(0, MAX_DUPLICATES);
  return {
    signInMarkerValues: signInMarkerValues,
    setSignInMarker(res, sealed) {
      send(res, SIGN_IN_MARKER, sealed);
    },
    clearSignInMarker(req, res) {
      if (signInMarkerValues(req).length > 0) expire(res, SIGN_IN_MARKER);
    },
  };
}

function transactionCookies(
  attributes: Attributes,
): Omit<Cookies, keyof SessionCookie | keyof SignInMarkerCookie> {
  const { send, expire } = writer(attributes);
  const isOurs = (key: string) => key.startsWith(TRANSACTION_PREFIX);
  const keyOf = (state: string) => TRANSACTION_PREFIX + fingerprint(state);
  return {
    transactionValues(req, state) {
      const values = present(req, (key) => key === keyOf(state)).map(([, value]) => value);
      return values.slice(0, MAX_DUPLICATES);
    },
    setTransaction(req, res, sealed) {
      for (const old of surplus(present(req, isOurs), sealed.length)) expire(res, old);
      send(res, keyOf(sealed), sealed);
    },
    clearTransaction(res, state) {
      expire(res, keyOf(state));
    },
    clearTransactions(req, res) {
      for (const [key] of present(req, isOurs)) expire(res, key);
    },
  };
}

function present(req: Request, isOurs: (key: string) => boolean): [name: string, value: string][] {
  return pairs(header(req, 'cookie')).filter(([key]) => isOurs(key));
}

function line(name: string, value: string, attributes: Attributes): string {
  return stringifySetCookie(name, value, { ...attributes, encode: (text) => text });
}

function isChunk(name: string, key: string): boolean {
  return key.startsWith(`${name}.`) && /^(?:0|[1-9]\d?)$/.test(key.slice(name.length + 1));
}

/** Joins chunks 0, 1, … up to the first gap; then less and less of them, since the last may be left from a longer session. */
function joined(name: string, chunks: readonly [string, string][]): string[] {
  // Of one name the first counts.
  const byName = new Map([...chunks].reverse());
  const values: string[] = [];
  for (let i = 0, text = ''; i < MAX_CHUNKS; i += 1) {
    const chunk = byName.get(`${name}.${i}`);
    if (chunk === undefined) break;
    values.unshift((text += chunk));
  }
  return values;
}

function split(text: string, size: number): string[] {
  const count = Math.ceil(text.length / size);
  return Array.from({ length: count }, (_, i) => text.slice(i * size, (i + 1) * size));
}

/** Names of pending flows that have to go for a new one of `bytes`, oldest first. */
function surplus(pending: readonly [string, string][], bytes: number): string[] {
  const size = (kept: typeof pending) =>
    kept.reduce((sum, [key, value]) => sum + key.length + value.length, bytes);
  const fits = (kept: typeof pending) => kept.length < MAX_PENDING && size(kept) <= MAX_PENDING_BYTES;
  const kept = pending.findIndex((_, i) => fits(pending.slice(i)));
  return (kept === -1 ? pending : pending.slice(0, kept)).map(([key]) => key);
}

/**
 * The Cookie header, in order. Not by `cookie`, which keeps one value a name: with two of one name the second may be
 * the real one, and the order says which flow is the oldest (RFC 6265 section 5.4).
 */
export function pairs(text: string | undefined): [name: string, value: string][] {
  const found: [string, string][] = [];
  for (const pair of (text ?? '').split(';')) {
    const equals = pair.indexOf('=');
    if (equals !== -1) found.push([pair.slice(0, equals).trim(), pair.slice(equals + 1).trim()]);
  }
  return found;
}

const NONE: readonly string[] = [];

/**
 * The values where it is plain at a glance: the name does not occur, or occurs once and as a cookie's. This is nearly
 * every request, and taking the whole header apart costs more than all else that a remembered session needs.
 */
export function onlyValue(header: string | undefined, name: string): readonly string[] | undefined {
  if (header === undefined) return NONE;
  const start = header.indexOf(name);
  if (start === -1) return NONE;
  const equals = start + name.length;
  if (header[equals] !== '=' || (start > 0 && !header.startsWith('; ', start - 2))) return undefined;
  const end = header.indexOf(';', equals);
  if (end === -1) return [header.slice(equals + 1).trim()];
  // Behind it another may begin; inside it none can.
  return header.includes(name, end) ? undefined : [header.slice(equals + 1, end).trim()];
}
