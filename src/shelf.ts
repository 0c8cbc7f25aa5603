import { setTimeout as pause } from 'node:timers/promises';
import type { Renewed } from './renewal.js';
import { log } from './log.js';
import type { Session } from './session.js';
import type { SessionName } from './session-id.js';
import type { Entry, Found, SharedStore } from './stores/index.js';

/** The store cannot say, or what it says cannot be read now; what the cookie says is known. */
export interface Unread {
  readonly kind: 'unreachable';
  readonly name: SessionName;
}

/** `gone`: the store has nothing under that id. */
export type Missing = { readonly kind: 'gone' } | Unread;

/** A replica that was read from may not know yet what was written: it is asked once more after so many milliseconds. */
const CATCHES_UP = 50;

/** Sessions in the store, under their ids. */
export interface Shelf {
  find: (name: SessionName) => Promise<Session | Missing>;
  /** The id under which a session was found or put. */
  idOf: (session: Session) => string | undefined;
  /** Puts a session where none is yet. */
  add: (id: string, session: Session) => Promise<'done' | 'unreachable'>;
  /** Puts a renewed session in place of the one before. */
  replace: (id: string, before: Session, next: Renewed) => Promise<'done' | Missing['kind']>;
  remove: (session: Session | Unread) => Promise<unknown>;
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

export function isMissing<Kind extends Missing>(found: Session | Kind): found is Kind {
  return 'kind' in found;
}

export function createShelf(options: ShelfOptions): Shelf {
  const { store, seal, lifetime } = options;
  const places = new WeakMap<Session, Place>();
  const renewals = new WeakMap<Renewed, Map<string, ReturnType<Shelf['replace']>>>();
  return {
    find: (name) => find(name, options, places),
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
      const id = isMissing(session) ? session.name.id : places.get(session)?.id;
      if (id !== undefined) await store.remove('session', id);
    },
  };
}

async function find(
  name: SessionName,
  { store, open }: ShelfOptions,
  places: WeakMap<Session, Place>,
): Promise<Session | Missing> {
  const { id } = name;
  const entry = await read(id, store);
  if (entry.kind === 'miss') return { kind: 'gone' };
  const session = entry.kind === 'hit' ? open(entry.text) : undefined;
  if (entry.kind !== 'hit' || !session) {
    // Another process may be able to read it, and this one after its next start: nobody is signed out over that.
    log('session', { unknown: entry.kind });
    return { kind: 'unreachable', name };
  }
  places.set(session, { id, entry });
  return session;
}

/** What is not there is looked for once more. */
async function read(id: string, store: SharedStore): Promise<Found> {
  const entry = await store.get('session', id);
  if (entry.kind !== 'miss') return entry;
  await pause(CATCHES_UP);
  return store.get('session', id);
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
  const entry = written.kind === 'hit' ? written : await read(id, store);
  if (entry.kind === 'hit') places.set(session, { id, entry });
  return entry.kind === 'miss' ? 'gone' : 'done';
}
