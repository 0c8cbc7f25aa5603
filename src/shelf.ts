import type { Renewed } from './renewal.js';
import { log } from './log.js';
import type { Session } from './session.js';
import type { Entry, SharedStore } from './stores/index.js';

/** `gone`: the store has nothing under that id. `unreachable`: it cannot say, or what it says cannot be read now. */
export type Missing = { readonly kind: 'gone' } | { readonly kind: 'unreachable' };

/** Sessions in the store, under their ids. */
export interface Shelf {
  find: (id: string) => Promise<Session | Missing>;
  /** The id under which a session was found or put. */
  idOf: (session: Session) => string | undefined;
  /** Puts a session where none is yet. */
  add: (id: string, session: Session) => Promise<'done' | 'unreachable'>;
  /** Puts a renewed session in place of the one before. */
  replace: (id: string, before: Session, next: Renewed) => Promise<'done' | Missing['kind']>;
  remove: (session: Session) => Promise<unknown>;
}

export interface ShelfOptions {
  store: SharedStore;
  open: (sealed: string) => Session | undefined;
  seal: (session: Session) => Promise<string>;
  /** How long a session stays unused, in milliseconds. */
  lifetime: number;
}

/** Where in the store a session was found. */
interface Place {
  readonly id: string;
  readonly entry: Entry;
}

export function isMissing(found: Session | Missing): found is Missing {
  return 'kind' in found;
}

export function createShelf(options: ShelfOptions): Shelf {
  const { store, seal, lifetime } = options;
  const places = new WeakMap<Session, Place>();
  const renewals = new WeakMap<Renewed, Map<string, ReturnType<Shelf['replace']>>>();
  return {
    find: (id) => find(id, options, places),
    idOf: (session) => places.get(session)?.id,
    async add(id, session) {
      const added = await store.add('session', id, await seal(session), lifetime);
      return added.kind === 'unreachable' ? added.kind : 'done';
    },
    /** Once for a renewal, however many requests share it. */
    replace(id, before, next) {
      const known = renewals.get(next) ?? new Map<string, ReturnType<Shelf['replace']>>();
      renewals.set(next, known);
      const result = known.get(id) ?? write(id, before, next, options, places);
      known.set(id, result);
      return result;
    },
    async remove(session) {
      const place = places.get(session);
      if (place) await store.remove('session', place.id);
    },
  };
}

async function find(
  id: string,
  { store, open }: ShelfOptions,
  places: WeakMap<Session, Place>,
): Promise<Session | Missing> {
  const entry = await store.get('session', id);
  if (entry.kind === 'miss') return { kind: 'gone' };
  const session = entry.kind === 'hit' ? open(entry.text) : undefined;
  if (entry.kind !== 'hit' || !session) {
    // Another process may be able to read it, and this one after its next start: nobody is signed out over that.
    log('session', { unknown: entry.kind });
    return { kind: 'unreachable' };
  }
  places.set(session, { id, entry });
  return session;
}

async function write(
  id: string,
  before: Session,
  { session, sealed }: Renewed,
  { store, lifetime }: ShelfOptions,
  places: WeakMap<Session, Place>,
): ReturnType<Shelf['replace']> {
  const place = places.get(before);
  const written = place
    ? await store.replace('session', id, place.entry, sealed, lifetime)
    : await store.add('session', id, sealed, lifetime);
  if (written.kind === 'unreachable') return written.kind;
  // If it is not as it was, another process has written it, or somebody has ended the session meanwhile.
  const entry = written.kind === 'hit' ? written : await store.get('session', id);
  if (entry.kind === 'hit') places.set(session, { id, entry });
  return entry.kind === 'miss' ? 'gone' : 'done';
}
