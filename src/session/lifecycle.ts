import { unavailable } from '../errors.js';
import type { Revocation } from './revocation.js';
import { type Session, sessionIdOf } from './sealed-session.js';
import type { SessionStorage } from './storage.js';
import { isNotStored, type StoreUnavailable } from './stored-sessions.js';

/** The life of sessions: they start with a sign-in, and end before their tokens do. */
export interface Sessions {
  /**
   * The session inside the values of a cookie, whether or not it still holds: what signing out is about. Of one in a
   * store that cannot be asked, what the cookie says.
   */
  peek: (values: readonly string[]) => Promise<Session | StoreUnavailable | undefined>;
  /**
   * Keeps the session of a sign-in and returns the value of its cookie. All that the browser had in the store before
   * is destroyed.
   *
   * @param values Of the cookie that came with the sign-in.
   * @throws {AuthKitError} `upstream_unavailable` if the store cannot take it.
   */
  create: (session: Session, values: readonly string[]) => Promise<string>;
  /** Ends a session: here at once, and in the other processes when the promise is fulfilled. */
  end: (session: Session | StoreUnavailable) => Promise<void>;
}

export interface SessionsDependencies {
  storage: SessionStorage;
  revocation: Revocation;
}

export function createSessions({ storage, revocation }: SessionsDependencies): Sessions {
  const find = async (value: string) => {
    const found = await storage.open(value);
    return found && isNotStored(found) && found.kind === 'not_found' ? undefined : found;
  };
  const end = async (session: Session | StoreUnavailable) => {
    const sessionId = sessionIdIn(session);
    const told = sessionId === undefined ? undefined : revocation.endSession(sessionId);
    await Promise.all([told, storage.delete(session)]);
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
      if (value === undefined) throw unavailable('the store could not take the session');
      // More than one only if somebody planted them.
      for (const earlier of await Promise.all(values.map(find))) {
        if (!earlier || !(isNotStored(earlier) || storage.isInStore(earlier))) continue;
        const isSame = sessionIdIn(earlier) === sessionIdOf(session);
        await (isSame ? storage.delete(earlier) : end(earlier));
      }
      return value;
    },
    end,
  };
}

/** The id under which WorkOS knows a session, also where the session itself cannot be had. */
export function sessionIdIn(session: Session | StoreUnavailable): string | undefined {
  return isNotStored(session) ? session.name.sessionId : sessionIdOf(session);
}
