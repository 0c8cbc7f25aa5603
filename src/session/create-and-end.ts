import { unavailable } from '../errors.js';
import type { Refresh } from './refresh.js';
import type { Revocation } from './revocation.js';
import { type Session, sessionIdentityOf, sessionIdOf } from './sealed-session.js';
import type { SessionStorage } from './cookie-or-store.js';
import { isNotStored, type StoreUnavailable } from './sessions-in-store.js';

/** Creates sessions at a sign-in, and ends them at a sign-out. */
export interface Sessions {
  /**
   * The first session among the values of a cookie, whether or not it has expired or ended, for a sign-out. If the
   * store is unavailable, what the cookie itself says.
   */
  peek: (values: readonly string[]) => Promise<Session | StoreUnavailable | undefined>;
  /**
   * Stores the session of a sign-in and returns its cookie value. Ends the sessions that this browser had before, in
   * the same way as a sign-out here does (OWASP ASVS 7.2.4).
   *
   * @param values The values of the session cookie that the browser sent with the sign-in.
   * @throws {AuthKitError} `upstream_unavailable` if the store is unavailable.
   */
  create: (session: Session, values: readonly string[]) => Promise<string>;
  /** Ends a session: in this process at once, and in the other processes when the promise is fulfilled. */
  end: (session: Session | StoreUnavailable) => Promise<void>;
}

export interface SessionsDependencies {
  storage: SessionStorage;
  revocation: Revocation;
  refresh: Pick<Refresh, 'replace'>;
}

export function createSessions({ storage, revocation, refresh }: SessionsDependencies): Sessions {
  const find = async (value: string) => {
    const found = await storage.open(value);
    return found && isNotStored(found) && found.kind === 'not_found' ? undefined : found;
  };
  const end = async (session: Session | StoreUnavailable) => {
    const sessionId = sessionIdIn(session);
    await Promise.all([
      sessionId === undefined ? undefined : revocation.endSession(sessionId),
      storage.delete(session),
    ]);
  };
  /** Ends what the browser had before, unless it is an earlier state of the same WorkOS session. */
  const replace = async (earlier: Session | StoreUnavailable, session: Session) => {
    // A response that is still under way must not bring it back.
    if (!isNotStored(earlier) && earlier.refreshToken !== session.refreshToken) refresh.replace(earlier);
    await (sessionIdIn(earlier) === sessionIdOf(session) ? storage.delete(earlier) : end(earlier));
  };
  return {
    async peek(values) {
      for (const value of values) {
        const found = await find(value);
        if (found) return found;
      }
      return undefined;
    },
    async create(session, values) {
      const value = await storage.create(session);
      // The user may have signed out of this application, but not of WorkOS, whose session then has the same ID.
      if (value === undefined || !(await revocation.reopenSession(sessionIdentityOf(session))))
        throw unavailable('the store is unavailable, so the session could not be saved: try again');
      const earlier = (await Promise.all(values.map(find))).filter((found) => found !== undefined);
      await Promise.all(earlier.map((found) => replace(found, session)));
      return value;
    },
    end,
  };
}

/** The ID of a session at WorkOS, also if the session itself is in a store that is unavailable. */
export function sessionIdIn(session: Session | StoreUnavailable): string | undefined {
  return isNotStored(session) ? session.reference.sessionId : sessionIdOf(session);
}
