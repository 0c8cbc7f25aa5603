import { unavailable } from './errors.js';
import type { Keeping } from './keeping.js';
import type { Refresh } from './refresh.js';
import type { Revocation } from './revocation.js';
import { identityOf, type Session } from './session.js';
import { isMissing } from './shelf.js';

/** The life of sessions: they start with a sign-in, and end before their tokens do. */
export interface Sessions {
  /**
   * The session inside the values of a cookie, whether or not it still holds: what signing out is about.
   *
   * @throws {AuthKitError} `upstream_unavailable` if it lies in a store that cannot be asked.
   */
  peek: (values: readonly string[]) => Promise<Session | undefined>;
  /**
   * Keeps the session of a sign-in and returns the value of its cookie. What the browser had in the store before is
   * destroyed.
   *
   * @param values Of the cookie that came with the sign-in.
   * @throws {AuthKitError} `upstream_unavailable` if the store cannot take it.
   */
  start: (session: Session, values: readonly string[]) => Promise<string>;
  /** Ends a session: here at once, and in the other processes when the promise is fulfilled. */
  end: (session: Session) => Promise<void>;
}

export interface SessionsParts {
  keeping: Keeping;
  refresh: Refresh;
  revocation: Revocation;
}

export function createSessions({ keeping, refresh, revocation }: SessionsParts): Sessions {
  const find = async (values: readonly string[]) => {
    for (const value of values) {
      const found = await keeping.open(value);
      if (found && !(isMissing(found) && found.kind === 'gone')) return found;
    }
    return undefined;
  };
  const end = async (session: Session) => {
    const { sessionId } = identityOf(session);
    const told = sessionId === undefined ? undefined : revocation.endSession(sessionId);
    await Promise.all([told, keeping.drop(session)]);
  };
  return {
    async peek(values) {
      const found = await find(values);
      if (found && isMissing(found)) throw unavailable('the store of the sessions could not be asked');
      return found;
    },
    async start(session, values) {
      const value = await keeping.start(session);
      if (value === undefined) throw unavailable('the store could not take the session');
      const earlier = await find(values);
      if (!earlier || isMissing(earlier) || !keeping.isElsewhere(earlier)) return value;
      const isSame = identityOf(earlier).sessionId === identityOf(session).sessionId;
      await (isSame ? keeping.drop(earlier) : end(earlier));
      return value;
    },
    end(session) {
      refresh.forget(session);
      return end(session);
    },
  };
}
