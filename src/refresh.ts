import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { peek, type Claims, type VerifyAccessToken } from './access-token.js';
import { AuthKitError, unavailable } from './errors.js';
import { renewed, type Session } from './session.js';
import type { Answer, Tokens } from './workos.js';

/** What a refresh came to. Only `refused` says that the session is over. */
export type Refreshed =
  | { readonly kind: 'renewed'; readonly session: Session; readonly sealed: string }
  | { readonly kind: 'refused'; readonly error: AuthKitError }
  | { readonly kind: 'unreachable'; readonly error: AuthKitError };

export interface RefreshOptions {
  /** Part of the key, so that two instances with one store of results stay apart. */
  clientId: string;
  refresh: (refreshToken: string, organizationId: string | undefined) => Promise<Answer<Tokens>>;
  verify: VerifyAccessToken;
  seal: (session: Session) => Promise<string>;
  now: () => number;
  onRefreshed: (session: Session) => void;
  onFailed: (failure: Exclude<Refreshed, { kind: 'renewed' }>, session: Session) => void;
}

export interface Refresh {
  /** New tokens for a session, exactly once for a refresh token and organization. */
  run: (session: Session, organizationId: string | undefined) => Promise<Refreshed>;
  /** Whether a refresh ahead of expiry may be tried: not again right after one that failed. */
  mayTryAhead: (session: Session) => boolean;
  /** A refresh ahead took too long to wait for: it goes on, but the next requests do not wait for it too. */
  postpone: (session: Session) => void;
  /** Ends what this session was refreshed to, also what is still under way. */
  forget: (session: Session) => void;
}

/** Results are remembered at least this long, in milliseconds: browsers send the old cookie a little longer. */
const REMEMBERED = 60_000;
/** After a refresh ahead of expiry failed, the old token serves this long before the next try. */
const BACKOFF = 10_000;
const MAX_FAMILIES = 10_000;
/** Refresh ahead of expiry by this much at most, in seconds, and by a fifth of a token's life at most. */
const AHEAD = 60;

/** All that became of one refresh token. */
interface Family {
  /** One refresh after the other: each rotates the token that the next one needs. */
  tail: Promise<Session>;
  readonly results: Map<string, Promise<Refreshed>>;
  failedAt: number;
  isForgotten: boolean;
}

/** What became of the refresh tokens of late, by a hash, so that the memory holds no token as a key. */
function createFamilies({ clientId, now }: RefreshOptions) {
  const families = new LRUCache<string, Family>({
    max: MAX_FAMILIES,
    ttl: REMEMBERED,
    ttlResolution: 0,
    perf: { now },
  });
  const keyOf = ({ refreshToken }: Session) =>
    createHash('sha256').update(`${clientId}\0${refreshToken}`).digest('base64url');
  return {
    of(session: Session): Family {
      const known = families.get(keyOf(session));
      if (known) return known;
      const tail = Promise.resolve(session);
      const family: Family = { tail, results: new Map(), failedAt: -Infinity, isForgotten: false };
      families.set(keyOf(session), family);
      return family;
    },
    /** Keeps a family for so many milliseconds more. */
    keep(session: Session, family: Family, ttl: number) {
      families.set(keyOf(session), family, { ttl: Math.max(REMEMBERED, ttl) });
    },
  };
}

/**
 * Makes exactly-once refresh for one process. WorkOS rotates refresh tokens, so a second use of one signs people out
 * (RFC 9700 section 4.14): concurrent requests share a call, stragglers with the old cookie get its result, and a
 * refused token is not sent again.
 */
export function createRefresh(options: RefreshOptions): Refresh {
  const { now } = options;
  const families = createFamilies(options);

  const settle = (session: Session, family: Family, organization: string, result: Refreshed) => {
    if (result.kind === 'unreachable') {
      family.results.delete(organization);
      family.failedAt = now();
    } else {
      family.failedAt = -Infinity;
      families.keep(session, family, dueIn(result, now()));
    }
    if (result.kind === 'renewed') options.onRefreshed(result.session);
    else options.onFailed(result, session);
    return family.isForgotten ? ended() : result;
  };

  return {
    run(session, organizationId) {
      const family = families.of(session);
      if (family.isForgotten) return Promise.resolve(ended());
      const organization = organizationId ?? '';
      const known = family.results.get(organization);
      if (known) return known;
      const attempt = family.tail.then((latest) => renew(latest, organizationId, options));
      const result = attempt.then((value) => settle(session, family, organization, value));
      family.results.set(organization, result);
      family.tail = Promise.all([family.tail, attempt]).then(([before, value]) =>
        value.kind === 'renewed' ? value.session : before,
      );
      return result;
    },
    mayTryAhead: (session) => now() - families.of(session).failedAt >= BACKOFF,
    postpone(session) {
      families.of(session).failedAt = now();
    },
    forget(session) {
      const family = families.of(session);
      family.isForgotten = true;
      families.keep(session, family, REMEMBERED);
    },
  };
}

/** One refresh at WorkOS, believed only if it is about the same person. Never rejects. */
async function renew(
  session: Session,
  organizationId: string | undefined,
  options: RefreshOptions,
): Promise<Refreshed> {
  try {
    const answer = await options.refresh(session.refreshToken, organizationId);
    if (answer.kind === 'refused') return { kind: 'refused', error: asEnded(answer.error) };
    if (answer.kind === 'unreachable') return answer;
    const next = renewed(session, answer.value);
    const problem = await problemOf(session, next, options.verify);
    if (problem !== undefined) return { kind: 'unreachable', error: unavailable(`WorkOS sent ${problem}`) };
    return { kind: 'renewed', session: next, sealed: await options.seal(next) };
  } catch (cause) {
    return { kind: 'unreachable', error: unavailable('the session could not be refreshed', { cause }) };
  }
}

/**
 * A new `sid` is accepted (WorkOS may open a new session), another person never. Keys that cannot be had now are no
 * reason to lose the tokens: they came from WorkOS itself, and will be judged when the keys are back.
 */
async function problemOf(
  before: Session,
  next: Session,
  verify: VerifyAccessToken,
): Promise<string | undefined> {
  if (next.user.id !== before.user.id) return 'the session of another user';
  const verdict = await verify(next.accessToken, true);
  if (verdict.kind === 'invalid') return `an access token that does not hold (${verdict.reason})`;
  if (verdict.kind === 'expired') return 'an access token that has expired by the clock of this server';
  const subject = verdict.kind === 'valid' ? verdict.claims.sub : peek(next.accessToken)['sub'];
  return subject === before.user.id ? undefined : 'an access token of another user';
}

/** When a token is due for a refresh, in milliseconds since the epoch. */
export function dueAt({ exp, iat }: Claims): number {
  const life = typeof iat === 'number' && iat < exp ? exp - iat : AHEAD * 5;
  return (exp - Math.min(AHEAD, life / 5)) * 1000;
}

function dueIn(result: Refreshed, now: number): number {
  const exp = result.kind === 'renewed' ? peek(result.session.accessToken)['exp'] : undefined;
  return typeof exp === 'number' ? Math.max(0, exp * 1000 - now) : 0;
}

/** `invalid_grant` about a refresh token is the end of the session, whatever WorkOS calls the reason. */
function asEnded(error: AuthKitError): AuthKitError {
  return error.code === 'code_exchange_failed' ? ended(error).error : error;
}

function ended(cause?: AuthKitError): { kind: 'refused'; error: AuthKitError } {
  return {
    kind: 'refused',
    error: new AuthKitError('unauthenticated', 'the session has ended', cause ? { cause } : {}),
  };
}
