import { LRUCache } from 'lru-cache';
import { peek, type Claims, type VerifyAccessToken } from './access-token.js';
import { type AuthKitError, unavailable } from './errors.js';
import { atMost } from './keys.js';
import { log } from './log.js';
import type { Refresh, Refreshed } from './refresh.js';
import { sessionIdOf, type Session } from './session.js';

/**
 * What a session cookie comes to.
 *
 * - `active`: signed in; with `sealed`, a newer cookie belongs in the response.
 * - `absent`: nobody is signed in, and the cookie stays as it is: another process may know better, or the browser has
 *   a newer one by now.
 * - `ended`: WorkOS said so; the cookie goes.
 * - `unknown`: cannot be judged now; nobody is signed out over that.
 */
export type Authentication =
  | { readonly kind: 'active'; readonly session: Session; readonly claims: Claims; readonly sealed?: string }
  | { readonly kind: 'absent'; readonly reason: 'none' | 'invalid' | 'expired' | 'ended' }
  | { readonly kind: 'ended'; readonly error: AuthKitError }
  | { readonly kind: 'unknown'; readonly error: AuthKitError; readonly sealed?: string };

export interface AuthenticateOptions {
  open: (sealed: string) => Session | undefined;
  verify: VerifyAccessToken;
  refresh: Refresh;
  now: () => number;
  /** How long a request waits for newer tokens while its own still hold, in milliseconds. */
  patience: number;
}

export interface Authenticator {
  /**
   * Judges the values that a session cookie may have, likeliest first.
   *
   * @param mayRefresh False where no cookie can be set: an expired session is then `absent`.
   */
  authenticate: (values: readonly string[], mayRefresh: boolean) => Authentication | Promise<Authentication>;
  /** The session inside the values, whether or not it still holds: what signing out is about. */
  peekSession: (values: readonly string[]) => Session | undefined;
  /** New tokens now, for the same or another organization. */
  renew: (session: Session, organizationId: string | undefined) => Promise<Authentication>;
  /** Whether this process still takes the session for one: false after it was signed out here. */
  isLive: (session: Session) => boolean;
  end: (session: Session) => void;
}

/** A session that was verified, kept by its cookie value until something about it has to be judged again. */
interface Remembered {
  readonly active: Extract<Authentication, { kind: 'active' }>;
  /** Milliseconds since the epoch. */
  readonly until: number;
}

const NONE: Authentication = Object.freeze({ kind: 'absent', reason: 'none' });

/** Refresh ahead of expiry by this much at most, in seconds, and by a fifth of a token's life at most. */
const AHEAD = 60;
/** A verified token is judged again after this long, so that a key that WorkOS withdrew does not live on here. */
const JUDGED = 600_000;
const MAX_REMEMBERED_BYTES = 32 * 1_048_576;
/** A session that ended here stays ended for as long as an access token may live, in milliseconds. */
const ENDED_FOR = 86_400_000;

export function createAuthenticator(options: AuthenticateOptions): Authenticator {
  const { open, verify, refresh, now, patience } = options;
  const remembered = new LRUCache<string, Remembered>({
    maxSize: MAX_REMEMBERED_BYTES,
    // The claims and the user stand in the value once more, as objects.
    sizeCalculation: (_, value) => value.length * 4 + 512,
  });
  const endedIds = new LRUCache<string, true>({
    max: 10_000,
    ttl: ENDED_FOR,
    ttlResolution: 0,
    perf: { now },
  });

  const isLive = (session: Session) => !endedIds.has(sessionIdOf(session) ?? '');

  const accept = (value: string, session: Session, claims: Claims, sealed?: string): Authentication => {
    const active = { kind: 'active', session, claims } as const;
    remembered.set(sealed ?? value, { active, until: Math.min(dueAt(claims), now() + JUDGED) });
    return sealed === undefined ? active : { ...active, sealed };
  };

  const fromRefresh = async (value: string, result: Refreshed): Promise<Authentication> => {
    if (result.kind === 'renewed' && !isLive(result.session)) return absent('ended');
    if (result.kind === 'refused') return { kind: 'ended', error: result.error };
    if (result.kind === 'unreachable') return { kind: 'unknown', error: result.error };
    const { session, sealed } = result;
    const verdict = await verify(session.accessToken, true);
    if (verdict.kind === 'valid') return accept(value, session, verdict.claims, sealed);
    return { kind: 'unknown', error: unavailable('the keys of WorkOS could not be had'), sealed };
  };
  const renew = async (value: string, session: Session, organizationId = organizationOf(session)) =>
    fromRefresh(value, await refresh.run(session, organizationId));

  /** The old token still holds: newer ones are welcome, but nobody waits long for them or fails without them. */
  const renewAhead = async (value: string, session: Session, claims: Claims): Promise<Authentication> => {
    const old: Authentication = { kind: 'active', session, claims };
    if (!refresh.mayTryAhead(session)) return old;
    const pending = renew(value, session);
    const result = (await atMost(patience, pending)) as Authentication | undefined;
    return result === undefined || result.kind === 'unknown' ? old : result;
  };

  const judge = (
    value: string,
    session: Session,
    mayRefresh: boolean,
  ): Authentication | Promise<Authentication> => {
    if (!isLive(session)) return absent('ended');
    const decide = (verdict: Awaited<ReturnType<VerifyAccessToken>>) => {
      if (verdict.kind === 'unknown') return unknownKeys();
      if (verdict.kind === 'expired') return mayRefresh ? renew(value, session) : absent('expired');
      if (verdict.kind === 'invalid') return absent('invalid', verdict.reason);
      if (verdict.claims.sub !== session.user.id) return absent('invalid', 'sub');
      if (mayRefresh && now() >= dueAt(verdict.claims)) return renewAhead(value, session, verdict.claims);
      return accept(value, session, verdict.claims);
    };
    const verdict = verify(session.accessToken);
    return verdict instanceof Promise ? verdict.then(decide) : decide(verdict);
  };

  return {
    authenticate(values, mayRefresh) {
      if (values.length === 0) return NONE;
      for (const value of values) {
        const known = remembered.get(value);
        if (known && now() < known.until && isLive(known.active.session)) return known.active;
        const session = open(value);
        if (session) return judge(value, session, mayRefresh);
      }
      return absent('invalid', 'seal');
    },
    peekSession: (values) => values.map(open).find((session) => session !== undefined),
    renew: (session, organizationId) => renew('', session, organizationId),
    isLive,
    end(session) {
      endedIds.set(sessionIdOf(session) ?? '', true);
      refresh.forget(session);
    },
  };
}

/** When a token is due for a refresh, in milliseconds since the epoch. */
function dueAt({ exp, iat }: Claims): number {
  const life = typeof iat === 'number' && iat < exp ? exp - iat : AHEAD * 5;
  return (exp - Math.min(AHEAD, life / 5)) * 1000;
}

/** Always named in a refresh, so that a refresh never changes the organization by itself. */
function organizationOf(session: Session): string | undefined {
  const { org_id: fromToken } = peek(session.accessToken);
  return typeof fromToken === 'string' ? fromToken : session.organizationId;
}

function unknownKeys(): Authentication {
  return { kind: 'unknown', error: unavailable('the keys of WorkOS could not be had') };
}

function absent(reason: 'invalid' | 'expired' | 'ended', why?: string): Authentication {
  log('session', reason, why === undefined ? undefined : { why });
  return { kind: 'absent', reason };
}
