import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { log } from '../events.js';
import { deriveKey, type Entry, type Found, type SignedStore } from '../stores/signed-store.js';
import { type Session, sessionIdOf } from './sealed-session.js';
import type { RefreshedSession } from './token-refresh.js';

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
  store: SignedStore;
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
async function read(id: string, store: SignedStore): Promise<Found> {
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

/** What a cookie value says of a session that lies in the store. */
export interface SessionReference {
  readonly id: string;
  /** The id under which WorkOS knows the session: one can sign out while the store is down. */
  readonly sessionId: string | undefined;
}

/** Names of sessions that lie in the store, and the cookie values that carry them. */
export interface SessionIds {
  /** A new one that nobody can guess: 256 bits. */
  create: () => string;
  /** That of a session which is moved to the store: the same one for every request that brings the same cookie. */
  deriveFrom: (session: Session) => string;
  write: (id: string, session: Session) => string;
  /** The name in a cookie value of ours; anything else is `undefined`, and costs the store nothing. */
  read: (value: string) => SessionReference | undefined;
}

const PREFIX = 's1';

const MAX_LENGTH = 256;

/** WorkOS's ids have 34 characters; a much longer one would be none of its own, and is left out. */
const MAX_SESSION_ID = 64;

/**
 * Cookie values are `s1.<id>.<version>.<session id>.<mac>`. The MAC lets forged ones be refused without a look into the store; the
 * version changes with the session's tokens, so that a browser which was given newer ones is never answered from an
 * older memory.
 *
 * @param passwords The first makes values, all of them recognize one.
 */
export function createSessionIds(passwords: readonly [string, ...string[]]): SessionIds {
  const keys = passwords.map((password) => deriveKey(password, 'session ids')) as [Buffer, ...Buffer[]];
  const macOf = (key: Buffer, text: string) => createHmac('sha256', key).update(text).digest();
  return {
    create: () => randomBytes(32).toString('base64url'),
    deriveFrom: ({ refreshToken }) => macOf(keys[0], `moved ${refreshToken}`).toString('base64url'),
    write(id, session) {
      const sessionId = sessionIdOf(session) ?? '';
      const told = sessionId.length > MAX_SESSION_ID ? '' : Buffer.from(sessionId).toString('base64url');
      const version = createHash('sha256').update(session.refreshToken).digest('base64url').slice(0, 11);
      const named = `${PREFIX}.${id}.${version}.${told}`;
      return `${named}.${macOf(keys[0], named).toString('base64url')}`;
    },
    read(value) {
      if (value.length > MAX_LENGTH || !value.startsWith(`${PREFIX}.`)) return undefined;
      const [, id, version, told, mac, ...rest] = value.split('.') as [string, ...Partial<string[]>];
      if (!id || !version || told === undefined || !mac || rest.length > 0) return undefined;
      const given = Buffer.from(mac, 'base64url');
      // Only the canonical form: otherwise the last character could change and the value still be taken.
      if (given.length !== 32 || given.toString('base64url') !== mac) return undefined;
      const named = `${PREFIX}.${id}.${version}.${told}`;
      if (!keys.some((key) => timingSafeEqual(macOf(key, named), given))) return undefined;
      return { id, sessionId: Buffer.from(told, 'base64url').toString() || undefined };
    },
  };
}
