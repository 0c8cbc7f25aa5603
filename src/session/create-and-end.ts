import { type Deadline, withDeadline } from '../deadline.js';
import { unavailable } from '../errors.js';
import type { Refresh } from './refresh.js';
import type { Revocation, SessionEnd } from './revocation.js';
import { type Session, sessionIdentityOf, sessionIdOf } from './sealed-session.js';
import type { SessionStorage } from './cookie-or-store.js';
import { type EarlierSession, isNotRead, type UnreadSession } from './sessions-in-store.js';

/** Creates a session when a user signs in, and ends it when the user signs out. */
export interface Sessions {
  /**
   * Finds the session of a cookie value, even if the session has been revoked or its access token has expired. Resolves
   * to `undefined` if the value is invalid or the session is no longer in the store. If the store is unavailable or its
   * entry is unreadable, resolves to the data that the cookie value itself contains.
   */
  find: (value: string) => Promise<Session | UnreadSession | undefined>;
  /**
   * Stores the session of a new sign-in and returns its cookie value. Also ends the browser's earlier sessions, just as
   * a sign-out from this application does (OWASP ASVS 7.2.4). If those sessions have not been ended by the deadline,
   * the promise is fulfilled anyway, and ending them continues.
   *
   * @param values The session cookie values in the request that completes the sign-in.
   * @param others Sessions that the browser had when the sign-in began. They are ended too. This list is needed because
   * browsers do not send `SameSite=Strict` cookies with the request that completes the sign-in.
   * @param earlierEnd How the same WorkOS session was ended before this sign-in, if it was. If it has been ended again
   * since then, it stays ended.
   * @throws {AuthKitError} `upstream_unavailable` if the store is unavailable or does not reply before the deadline.
   */
  create: (
    session: Session,
    values: readonly string[],
    deadline: Deadline,
    earlierEnd: SessionEnd | undefined,
    others?: readonly EarlierSession[],
  ) => Promise<string>;
  /**
   * Ends a session. In this process, the session ends immediately. With a store, it ends in every other process at most
   * half a second after the promise is fulfilled. The promise is fulfilled even if the store is unavailable.
   */
  end: (session: Session | UnreadSession) => Promise<void>;
}

export interface SessionsDependencies {
  storage: SessionStorage;
  revocation: Revocation;
  refresh: Pick<Refresh, 'markReplaced' | 'successorOf'>;
}

export function createSessions({ storage, revocation, refresh }: SessionsDependencies): Sessions {
  const find = async (value: string) => {
    const found = await storage.open(value);
    return found && isNotRead(found) && found.kind === 'not_found' ? undefined : found;
  };
  /**
   * Ends a session. If a refresh has continued the session under a new WorkOS session ID, also ends the session with
   * that ID. The ID `except` is not revoked.
   */
  const end = async (session: Session | UnreadSession, except?: string) => {
    const newest = isNotRead(session) ? undefined : refresh.successorOf(session)?.session;
    const sessionIds = new Set([sessionIdIn(session), newest && sessionIdOf(newest)]);
    const ending = [...sessionIds].filter((id) => id !== undefined && id !== except) as string[];
    await Promise.all([...ending.map((id) => revocation.endSession(id)), storage.delete(session)]);
  };
  /**
   * Ends an earlier session of the browser. If it belongs to the same WorkOS session as the new one, it is only deleted
   * from the store.
   */
  const replace = async (earlier: Session | UnreadSession, session: Session) => {
    // A response that is still in progress must not set the earlier session's cookie again.
    if (!isNotRead(earlier) && earlier.refreshToken !== session.refreshToken) refresh.markReplaced(earlier);
    await end(earlier, sessionIdOf(session));
  };
  const replaceValue = async (value: string, session: Session) => {
    const earlier = await find(value);
    if (earlier) await replace(earlier, session);
  };
  const save = async (session: Session, earlierEnd: SessionEnd | undefined) => {
    const value = await storage.create(session);
    // The user may have signed out of this application but not of WorkOS. In that case, the new session has the same
    // WorkOS session ID as the ended one, so this ID must be accepted again.
    return (await revocation.reopenSession(sessionIdentityOf(session), earlierEnd)) ? value : undefined;
  };
  return {
    find,
    async create(session, values, deadline, earlierEnd, others = []) {
      const value = await withDeadline(deadline.left(), save(session, earlierEnd));
      if (value === undefined)
        throw unavailable('the store is unavailable, so the session could not be saved: try again');
      const ending = [
        ...values.map((one) => replaceValue(one, session)),
        ...others.map((reference) => replace({ kind: 'unavailable', reference }, session)),
      ];
      await withDeadline(deadline.left(), Promise.all(ending));
      return value;
    },
    end: (session) => end(session),
  };
}

/** Returns the WorkOS session ID. The cookie contains this ID, so it is known even if the store is unavailable. */
export function sessionIdIn(session: Session | UnreadSession): string | undefined {
  return isNotRead(session) ? session.reference.sessionId : sessionIdOf(session);
}
