import { unavailable } from './errors.js';
import type { Keeping } from './keeping.js';
import type { Revocation } from './revocation.js';
import { sessionIdOf, type Session } from './session.js';
import { isMissing, type Unread } from './shelf.js';

/** The life of sessions: they start with a sign-in, and end before their tokens do. */
export interface Sessions {
  /**
   * The session inside the values of a cookie, whether or not it still holds: what signing out is about. Of one in a
   * store that cannot be asked, what the cookie says.
   */
  peek: (values: readonly string[]) => Promise<Session | Unread | undefined>;
  /**
   * Keeps the session of a sign-in and returns the value of its cookie. All that the browser had in the store before
   * is destroyed.
   *
   * @param values Of the cookie that came with the sign-in.
   * @throws {AuthKitError} `upstream_unavailable` if the store cannot take it.
   */
  start: (session: Session, values: readonly string[]) => Promise<string>;
  /** Ends a session: here at once, and in the other processes when the promise is fulfilled. */
  end: (session: Session | Unread) => Promise<void>;
}

export interface SessionsParts {
  keeping: Keeping;
  revocation: Revocation;
}

export function createSessions({ keeping, revocation }: SessionsParts): Sessions {
  const find = async (value: string) => {
    const found = await keeping.open(value);
    return found && isMissing(found) && found.kind === 'gone' ? undefined : found;
  };
  const end = async (session: Session | Unread) => {
    const sessionId = sessionIdIn(session);
    const told = sessionId === undefined ? undefined : revocation.endSession(sessionId);
    await Promise.all([told, keeping.drop(session)]);
  };
  return {
    async peek(values) {
      for (const value of values) {
        const found = await find(value);
        if (found) return found;
      }
      return undefined;
    },
    async start(session, values) {
      const value = await keeping.start(session);
      if (value === undefined) throw unavailable('the store could not take the session');
      // More than one only if somebody planted them.
      for (const earlier of await Promise.all(values.map(find))) {
        if (!earlier || !(isMissing(earlier) || keeping.isElsewhere(earlier))) continue;
        const isSame = sessionIdIn(earlier) === sessionIdOf(session);
        await (isSame ? keeping.drop(earlier) : end(earlier));
      }
      return value;
    },
    end,
  };
}

/** The id under which WorkOS knows a session, also where the session itself cannot be had. */
export function sessionIdIn(session: Session | Unread): string | undefined {
  return isMissing(session) ? session.name.sessionId : sessionIdOf(session);
}
