import type { Renewed } from './renewal.js';
import type { Session } from './session.js';
import { createSessionIds } from './session-id.js';
import { createShelf, type Missing, type Unread } from './shelf.js';
import type { SharedStore } from './stores/index.js';

/** Where sessions are kept: in the cookie itself, or in the store with an id in the cookie. */
export interface Keeping {
  /** The session of a cookie value, of either kind. A promise only where the store has to be asked. */
  open: (value: string) => Session | undefined | Promise<Session | Missing>;
  /** Whether a session lies in the store. */
  isElsewhere: (session: Session) => boolean;
  /** Whether a session is kept in the way that is no longer wanted. */
  isMisplaced: (session: Session) => boolean;
  /** Moves a misplaced session and returns its cookie value; `undefined` if that cannot be done now. */
  move: (session: Session) => Promise<string | undefined>;
  /** Keeps a renewed session in place of the one before, and returns its cookie value; `undefined` if that is gone. */
  renew: (before: Session, next: Renewed) => Promise<string | undefined>;
  /** Keeps a new session and returns its cookie value; `undefined` if the store cannot take it. */
  start: (session: Session) => Promise<string | undefined>;
  /** Deletes a session from the store, if it lies there. */
  drop: (session: Session | Unread) => Promise<unknown>;
}

export interface KeepingOptions {
  mode: 'cookie' | 'store';
  store: SharedStore | undefined;
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

export function createKeeping({ store, ...options }: KeepingOptions): Keeping {
  return store ? withStore({ store, ...options }) : inCookies(options);
}

/** Cookies alone: what there is without a store. */
function inCookies({ open, seal }: Pick<KeepingOptions, 'open' | 'seal'>): Keeping {
  return {
    open,
    isElsewhere: () => false,
    isMisplaced: () => false,
    move: () => Promise.resolve(undefined),
    renew: (_before, { sealed }) => Promise.resolve(sealed),
    start: seal,
    drop: () => Promise.resolve(),
  };
}

function withStore(options: KeepingOptions & { store: SharedStore }): Keeping {
  const { mode, passwords, open, seal } = options;
  const ids = createSessionIds(passwords);
  const shelf = createShelf({ ...options, open: options.openKept });
  const isElsewhere = (session: Session) => shelf.idOf(session) !== undefined;
  const put = async (id: string, session: Session) =>
    (await shelf.add(id, session)) === 'done' ? ids.write(id, session) : undefined;
  const common = {
    open: (value: string) => {
      const name = ids.read(value);
      return name ? shelf.find(name) : open(value);
    },
    isElsewhere,
    drop: shelf.remove,
  };
  if (mode === 'cookie') {
    const { renew } = inCookies(options);
    return { ...common, isMisplaced: isElsewhere, move: seal, renew, start: seal };
  }
  return {
    ...common,
    isMisplaced: (session) => !isElsewhere(session),
    move: (session) => put(ids.moved(session), session),
    async renew(before, next) {
      const id = shelf.idOf(before) ?? ids.moved(before);
      const kept = await shelf.replace(id, before, next);
      // New tokens are not lost over a store that cannot take them: they travel in the cookie until it can.
      if (kept === 'unreachable') return next.sealed;
      return kept === 'gone' ? undefined : ids.write(id, next.session);
    },
    start: (session) => put(ids.fresh(), session),
  };
}
