import { peek, type Verdict, type VerifyAccessToken } from './access-token.js';
import { type AuthKitError, unavailable } from './errors.js';
import { atMost } from './keys.js';
import { log } from './log.js';
import { createSessionMemory, type SessionMemory, type Verified } from './memory.js';
import { dueAt, type Refresh } from './refresh.js';
import type { Session } from './session.js';

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
  | (Verified & { readonly sealed?: string })
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
  isLive: (session: Pick<Session, 'accessToken'>) => boolean;
  end: (session: Session) => void;
}

interface Parts extends AuthenticateOptions {
  memory: SessionMemory;
}

const NONE: Authentication = Object.freeze({ kind: 'absent', reason: 'none' });

export function createAuthenticator(options: AuthenticateOptions): Authenticator {
  const { open, refresh, now } = options;
  const memory = createSessionMemory(now);
  const parts: Parts = { ...options, memory };
  return {
    authenticate(values, mayRefresh) {
      if (values.length === 0) return NONE;
      for (const value of values) {
        const known = memory.recall(value);
        if (known) return known;
        const session = open(value);
        if (session) return judge(value, session, mayRefresh, parts);
      }
      return absent('invalid', 'seal');
    },
    peekSession: (values) => values.map(open).find((session) => session !== undefined),
    renew: (session, organizationId) => renew(session, parts, organizationId),
    isLive: memory.isLive,
    end(session) {
      memory.end(session);
      refresh.forget(session);
    },
  };
}

/** What an opened session comes to. A promise only where keys or tokens have to be fetched. */
function judge(
  value: string,
  session: Session,
  mayRefresh: boolean,
  parts: Parts,
): Authentication | Promise<Authentication> {
  const { memory, verify, refresh, now } = parts;
  if (!memory.isLive(session)) return absent('ended');
  const decide = (verdict: Verdict) => {
    if (verdict.kind === 'unknown') return unknownKeys();
    if (verdict.kind === 'expired') return mayRefresh ? renew(session, parts) : absent('expired');
    if (verdict.kind === 'invalid') return absent('invalid', verdict.reason);
    const { claims } = verdict;
    if (claims.sub !== session.user.id) return absent('invalid', 'sub');
    const isDue = now() >= dueAt(claims);
    const verified: Verified = { kind: 'active', session, claims };
    if (isDue && mayRefresh && refresh.mayTryAhead(session)) return renewAhead(verified, parts);
    if (!isDue) memory.remember(value, verified);
    return verified;
  };
  const verdict = verify(session.accessToken);
  return verdict instanceof Promise ? verdict.then(decide) : decide(verdict);
}

async function renew(
  session: Session,
  { refresh, memory, verify }: Parts,
  organizationId = organizationOf(session),
): Promise<Authentication> {
  const result = await refresh.run(session, organizationId);
  if (!memory.isLive(session) || (result.kind === 'renewed' && !memory.isLive(result.session)))
    return absent('ended');
  if (result.kind === 'refused') return { kind: 'ended', error: result.error };
  if (result.kind === 'unreachable') return { kind: 'unknown', error: result.error };
  const { session: next, sealed } = result;
  const verdict = await verify(next.accessToken, true);
  if (verdict.kind !== 'valid') return { ...unknownKeys(), sealed };
  const verified: Verified = { kind: 'active', session: next, claims: verdict.claims };
  memory.remember(sealed, verified);
  return { ...verified, sealed };
}

/** The old token still holds: newer ones are welcome, but nobody waits long for them or fails without them. */
async function renewAhead(verified: Verified, parts: Parts): Promise<Authentication> {
  const { session } = verified;
  const result = (await atMost(parts.patience, renew(session, parts))) as Authentication | undefined;
  if (result === undefined) parts.refresh.postpone(session);
  return result === undefined || result.kind === 'unknown' ? verified : result;
}

/** Always named in a refresh, so that a refresh never changes the organization by itself. */
function organizationOf(session: Session): string | undefined {
  const { org_id: fromToken } = peek(session.accessToken);
  return typeof fromToken === 'string' ? fromToken : session.organizationId;
}

function unknownKeys(): Extract<Authentication, { kind: 'unknown' }> {
  return { kind: 'unknown', error: unavailable('the keys of WorkOS could not be had') };
}

function absent(reason: 'invalid' | 'expired' | 'ended', why?: string): Authentication {
  log('session', { reason, why });
  return { kind: 'absent', reason };
}
