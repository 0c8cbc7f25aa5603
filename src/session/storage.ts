import type { SignedStore } from '../stores/signed-store.js';
import type { Session } from './sealed-session.js';
import {
  createSessionIds,
  createStoredSessions,
  type NotStored,
  type StoreUnavailable,
} from './stored-sessions.js';
import type { RefreshedSession } from './token-refresh.js';

/** Where sessions are kept: in the cookie itself, or in the store with an id in the cookie. */
export interface SessionStorage {
  /** The session of a cookie value, of either kind. A promise only where the store has to be asked. */
  open: (value: string) => Session | undefined | Promise<Session | NotStored>;
  /** Whether a session lies in the store. */
  isInStore: (session: Session) => boolean;
  /** Whether a session is kept in the way that is no longer wanted. */
  needsMigration: (session: Session) => boolean;
  /** Moves a misplaced session and returns its cookie value; `undefined` if that cannot be done now. */
  migrate: (session: Session) => Promise<string | undefined>;
  /** Keeps a renewed session in place of the one before, and returns its cookie value; `undefined` if that is gone. */
  replace: (before: Session, next: RefreshedSession) => Promise<string | undefined>;
  /** Keeps a new session and returns its cookie value; `undefined` if the store cannot take it. */
  create: (session: Session) => Promise<string | undefined>;
  /** Deletes a session from the store, if it lies there. */
  delete: (session: Session | StoreUnavailable) => Promise<unknown>;
}

export interface SessionStorageOptions {
  mode: 'cookie' | 'store';
  store: SignedStore | undefined;
  /** The first makes ids, all of them recognize one. */
  passwords: readonly [string, ...string[]];
  /** Opens what came in a cookie. */
  open: (sealed: string) => Session | undefined;
  /** Opens what lay in the store, where sessions may be of any size. */
  openKept: (sealed: string) => Session | undefined;
  seal: (session: Session) => Promise<string>;
  /** How long a session stays in the store unused, in milliseconds. */
  lifetime: number;
}

export function createSessionStorage({ store, ...options }: SessionStorageOptions): SessionStorage {
  return store ? withStore({ store, ...options }) : inCookies(options);
}

/** Cookies alone: what there is without a store. */
function inCookies({ open, seal }: Pick<SessionStorageOptions, 'open' | 'seal'>): SessionStorage {
  return {
    open,
    isInStore: () => false,
    needsMigration: () => false,
    migrate: () => Promise.resolve(undefined),
    replace: (_before, { sealed }) => Promise.resolve(sealed),
    create: seal,
    delete: () => Promise.resolve(),
  };
}

function withStore(options: SessionStorageOptions & { store: SignedStore }): SessionStorage {
  const { mode, passwords, open, seal } = options;
  const ids = createSessionIds(passwords);
  const stored = createStoredSessions({ ...options, open: options.openKept });
  const isInStore = (session: Session) => stored.idOf(session) !== undefined;
  const put = async (id: string, session: Session) =>
    (await stored.add(id, session)) === 'ok' ? ids.write(id, session) : undefined;
  const common = {
    open: (value: string) => {
      const name = ids.read(value);
      return name ? stored.find(name) : open(value);
    },
    isInStore,
    delete: stored.delete,
  };
  if (mode === 'cookie') {
    const { replace: renew } = inCookies(options);
    return { ...common, needsMigration: isInStore, migrate: seal, replace: renew, create: seal };
  }
  return {
    ...common,
    needsMigration: (session) => !isInStore(session),
    migrate: (session) => put(ids.deriveFrom(session), session),
    async replace(before, next) {
      const id = stored.idOf(before) ?? ids.deriveFrom(before);
      const kept = await stored.replace(id, before, next);
      // New tokens are not lost over a store that cannot take them: they travel in the cookie until it can.
      if (kept === 'unavailable') return next.sealed;
      return kept === 'not_found' ? undefined : ids.write(id, next.session);
    },
    create: (session) => put(ids.create(), session),
  };
}
