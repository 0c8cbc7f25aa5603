import type { SessionProblem } from '../diagnostics.js';
import type { SignedStore } from '../stores/signed-store.js';
import { type Session, sessionIdOf } from './sealed-session.js';
import {
  createSessionIds,
  createStoredSessions,
  type EarlierSession,
  earlierSessionAt,
  type NotRead,
  type UnreadSession,
} from './sessions-in-store.js';
import type { RefreshedSession } from './refresh-at-workos.js';

/**
 * Stores sessions. A session is either in the cookie itself, or in the store. If it is in the store, the cookie
 * contains a reference with its ID instead.
 */
export interface SessionStorage {
  /**
   * Opens a cookie value. If the value contains the session itself, returns the session. If it refers to a session in
   * the store, returns a promise, which resolves to that session or to why it was not read. Returns `undefined` if the
   * value is not valid.
   */
  open: (value: string) => Session | undefined | Promise<Session | NotRead>;
  /** Opens a cookie value that contains the session itself. Returns `undefined` for any other value. */
  openSealed: (value: string) => Session | undefined;
  /**
   * Returns what is needed to end a cookie value's session later. Does not call the store. Returns `undefined` if the
   * value is not valid.
   */
  earlierSessionOf: (value: string) => EarlierSession | undefined;
  /** Returns why a cookie value could not be opened. */
  problemOf: (value: string) => SessionProblem;
  /** Whether a session was read from the store, or was written to it after a refresh. */
  isInStore: (session: Session) => boolean;
  /** Whether a session from the store is older than the version that its cookie refers to. */
  isOutdated: (session: Session) => boolean;
  /**
   * Replaces an outdated session in the store with a newer version. Returns the session that the store then contains.
   * If that session cannot be read, returns `outdated`.
   */
  restore: (outdated: Session, newer: RefreshedSession) => Promise<Session>;
  /** Whether a session must be moved, because it is not in the storage that `mode` specifies. */
  needsMigration: (session: Session) => boolean;
  /**
   * Moves a session to the storage that `mode` specifies, and returns the new cookie value. Returns `undefined` if the
   * store is unavailable.
   */
  migrate: (session: Session) => Promise<string | undefined>;
  /**
   * Replaces a session with its refreshed version, and returns the new cookie value. If the store is unavailable, this
   * value contains the session itself. Returns `undefined` if the session is no longer in the store.
   */
  replace: (before: Session, next: RefreshedSession) => Promise<string | undefined>;
  /** Stores a new session and returns its cookie value. Returns `undefined` if the store is unavailable. */
  create: (session: Session) => Promise<string | undefined>;
  /** Deletes a session if it is in the store. */
  delete: (session: Session | UnreadSession) => Promise<unknown>;
}

export interface SessionStorageOptions {
  mode: 'cookie' | 'store';
  store: SignedStore | undefined;
  /** The first password is used to sign new IDs, and all of them are used to verify IDs. */
  passwords: readonly [string, ...string[]];
  /** Opens a session from a cookie. */
  open: (sealed: string) => Session | undefined;
  /** Opens a session from the store. Its size is not limited, unlike that of a session from a cookie. */
  openStored: (sealed: string) => Session | undefined;
  seal: (session: Session) => Promise<string>;
  /** Returns why a cookie value could not be opened. */
  problemOf: (sealed: string) => SessionProblem;
  /** How long an unused session stays in the store, in milliseconds. */
  lifetime: number;
}

export function createSessionStorage({ store, ...options }: SessionStorageOptions): SessionStorage {
  return store ? withStore({ store, ...options }) : inCookies(options);
}

/** Creates the storage for an instance that has no store. The cookie contains the complete session. */
function inCookies({
  open,
  seal,
  problemOf,
}: Pick<SessionStorageOptions, 'open' | 'seal' | 'problemOf'>): SessionStorage {
  return {
    open,
    openSealed: open,
    earlierSessionOf: (value) => earlierSession(open(value)),
    problemOf,
    isInStore: () => false,
    isOutdated: () => false,
    restore: (outdated) => Promise.resolve(outdated),
    needsMigration: () => false,
    migrate: () => Promise.resolve(undefined),
    replace: (_before, { sealed }) => Promise.resolve(sealed),
    create: seal,
    delete: () => Promise.resolve(),
  };
}

function earlierSession(session: Session | undefined): EarlierSession | undefined {
  return session && { sessionId: sessionIdOf(session) };
}

function withStore(options: SessionStorageOptions & { store: SignedStore }): SessionStorage {
  const { mode, passwords, open, seal } = options;
  const ids = createSessionIds(passwords);
  const stored = createStoredSessions({ ...options, open: options.openStored });
  const isInStore = (session: Session) => stored.idOf(session) !== undefined;
  const put = async (id: string, session: Session) =>
    (await stored.add(id, session)) === 'ok' ? ids.write(id, session) : undefined;
  const common = {
    open: (value: string) => {
      const name = ids.read(value);
      return name ? stored.find(name) : open(value);
    },
    openSealed: open,
    earlierSessionOf: (value: string) => {
      const name = ids.read(value);
      return name ? earlierSessionAt(name, options.store) : earlierSession(open(value));
    },
    problemOf: (value: string) => (ids.hasForm(value) ? 'password' : options.problemOf(value)),
    isInStore,
    isOutdated: stored.isOutdated,
    restore: stored.restore,
    delete: stored.delete,
  };
  if (mode === 'cookie') {
    const { replace } = inCookies(options);
    return { ...common, needsMigration: isInStore, migrate: seal, replace, create: seal };
  }
  return {
    ...common,
    needsMigration: (session) => !isInStore(session),
    migrate: (session) => put(ids.deriveFrom(session), session),
    async replace(before, next) {
      const id = stored.idOf(before) ?? ids.deriveFrom(before);
      const result = await stored.replace(id, before, next);
      // If the store is unavailable, the cookie contains the session itself until the store is available again.
      if (result === 'unavailable') return next.sealed;
      return result === 'not_found' ? undefined : ids.write(id, next.session);
    },
    create: (session) => put(ids.create(), session),
  };
}
