import { setTimeout as pause } from 'node:timers/promises';
import type { RefreshedSession } from './renewal.js';
import { log } from './log.js';
import type { Session } from './session.js';
import type { SessionReference } from './session-id.js';
import type { Entry, Found, SharedStore } from './stores/index.js';

/** The store cannot say, or what it says cannot be read now; what the cookie says is known. */
export interface StoreUnavailable {
  readonly kind: 'unavailable';
  readonly name: SessionReference;
}

/** `gone`: the store has nothing under that id. */
export type NotStored = { readonly kind: 'not_found' } | StoreUnavailable;

/** A replica that was read from may not know yet what was written: it is asked once more after so many milliseconds. */
const CATCHES_UP = 50;

/** Sessions in the store, under their ids. */
export interface StoredSessions {
  find: (name: SessionReference) => Promise<Session | NotStored>;
  /** The id under which a session was found or put. */
  idOf: (session: Session) => string | undefined;
  /** Puts a session where none is yet. */
  add: (id: string, session: Session) => Promise<'ok' | 'unavailable'>;
  /** Puts a renewed session in place of the one before. */
  replace: (id: string, before: Session, next: RefreshedSession) => Promise<'ok' | NotStored['kind']>;
  delete: (session: Session | StoreUnavailable) => Promise<unknown>;
}

export interface StoredSessionsOptions {
  store: SharedStore;
  open: (sealed: string) => Session | undefined;
  seal: (session: Session) => Promise<string>;
  /** How long a session stays unused, in milliseconds. */
  lifetime: number;
}

/** Where in the store a session was found. */
interface StoredAt {
  readonly id: string;
  readonly entry: Entry;
}

export function isNotStored<Kind extends NotStored>(found: Session | Kind): found is Kind {
  return 'kind' in found;
}

export function createStoredSessions(options: StoredSessionsOptions): StoredSessions {
  const { store, seal, lifetime } = options;
  const places = new WeakMap<Session, StoredAt>();
  const renewals = new WeakMap<RefreshedSession, Map<string, ReturnType<StoredSessions['replace']>>>();
  return {
    find: (name) => find(name, options, places),
    idOf: (session) => places.get(session)?.id,
    async add(id, session) {
      const added = await store.add('session', id, await seal(session), lifetime);
      return added.kind === 'unavailable' ? added.kind : 'ok';
    },
    /** Once for a renewal, however many requests share it. */
    replace(id, before, next) {
      const known = renewals.get(next) ?? new Map<string, ReturnType<StoredSessions['replace']>>();
      renewals.set(next, known);
      const result = known.get(id) ?? write(id, before, next, options, places);
      known.set(id, result);
      return result;
    },
    async delete(session) {
      const id = isNotStored(session) ? session.name.id : places.get(session)?.id;
      if (id !== undefined) await store.remove('session', id);
    },
  };
}

async function find(
  name: SessionReference,
  { store, open }: StoredSessionsOptions,
  places: WeakMap<Session, StoredAt>,
): Promise<Session | NotStored> {
  const { id } = name;
  const entry = await read(id, store);
  if (entry.kind === 'miss') return { kind: 'not_found' };
  const session = entry.kind === 'hit' ? open(entry.text) : undefined;
  if (entry.kind !== 'hit' || !session) {
    // Another process may be able to read it, and this one after its next start: nobody is signed out over that.
    log('session', { unknown: entry.kind });
    return { kind: 'unavailable', name };
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
  { session, sealed }: RefreshedSession,
  { store, lifetime }: StoredSessionsOptions,
  places: WeakMap<Session, StoredAt>,
): ReturnType<StoredSessions['replace']> {
  const place = places.get(before);
  const written = place
    ? await store.replace('session', id, place.entry, sealed, lifetime)
    : await store.add('session', id, sealed, lifetime);
  if (written.kind === 'unavailable') return written.kind;
  // If it is not as it was, another process has written it, or somebody has ended the session meanwhile.
  const entry = written.kind === 'hit' ? written : await read(id, store);
  if (entry.kind === 'hit') places.set(session, { id, entry });
  return entry.kind === 'miss' ? 'not_found' : 'ok';
}
