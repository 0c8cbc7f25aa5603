import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { sha256 } from '../sha256.js';
import { deriveKey, type Entry, type Found, type SignedStore } from '../stores/signed-store.js';
import { type Session, sessionIdentityOf, sessionIdOf } from './sealed-session.js';
import type { RefreshedSession } from './refresh-at-workos.js';

/** What is needed to end a session without its cookie and without reading it from the store. */
export interface EarlierSession {
  /**
   * The hash of the ID under which the session is stored. `undefined` if the session is not in the store. The ID itself
   * is not kept.
   */
  readonly idHash?: string | undefined;
  /** The WorkOS session ID, or the ID of a session that `sso()` created. */
  readonly sessionId: string | undefined;
}

/** A session that has not been read. Only what is needed to end it is known. */
export interface UnreadSession {
  readonly kind: 'unavailable';
  readonly reference: EarlierSession;
}

/**
 * The result if the store is unavailable, or if this process cannot read the session's store entry. In both cases, only
 * the content of the cookie is known.
 */
export interface StoreUnavailable extends UnreadSession {
  readonly why: 'store' | 'store_entry';
}

/** The result if no session could be read. `not_found` means that the store has no session with this ID. */
export type NotRead = { readonly kind: 'not_found' } | StoreUnavailable;

/**
 * How long to wait before a missing entry is read again, in milliseconds. The pause gives a replica of the store time
 * to receive a new entry.
 */
const REPLICATION_PAUSE = 50;

/** Reads and writes sessions in the store. */
export interface StoredSessions {
  find: (reference: SessionReference) => Promise<Session | NotRead>;
  /**
   * Returns the ID under which a session is stored, if the session was read from the store, or was written to it after
   * a refresh. Returns `undefined` for any other session.
   */
  idOf: (session: Session) => string | undefined;
  /**
   * Adds a session. The result is also `ok` if the ID is taken, because another request with the same cookie has then
   * added the session.
   */
  add: (id: string, session: Session) => Promise<'ok' | 'unavailable'>;
  /**
   * Replaces a session in the store with its refreshed version. `not_found` means that the store no longer has the
   * session.
   */
  replace: (
    id: string,
    before: Session,
    next: RefreshedSession,
  ) => Promise<'ok' | 'not_found' | 'unavailable'>;
  /**
   * Whether a session that was found in the store is older than the version that its cookie refers to. This happens if
   * the store has lost a write.
   */
  isOutdated: (session: Session) => boolean;
  /**
   * Replaces an outdated session in the store with a newer version. Returns the newer version, or the session that the
   * store then contains if another process has changed the entry in the meantime. If the store contains neither, or
   * cannot be read, returns `outdated`.
   */
  restore: (outdated: Session, newer: RefreshedSession) => Promise<Session>;
  delete: (session: Session | UnreadSession) => Promise<unknown>;
}

export interface StoredSessionsOptions {
  store: SignedStore;
  open: (sealed: string) => Session | undefined;
  seal: (session: Session) => Promise<string>;
  /** How long an unused session stays in the store, in milliseconds. */
  lifetime: number;
}

/** The ID and the store entry of a session. */
interface StoredAt {
  readonly id: string;
  readonly entry: Entry;
  readonly isOutdated?: boolean;
}

export function isNotRead<Kind extends NotRead | UnreadSession>(found: Session | Kind): found is Kind {
  return 'kind' in found;
}

export function createStoredSessions(options: StoredSessionsOptions): StoredSessions {
  const { store, open, seal, lifetime } = options;
  const places = new WeakMap<Session, StoredAt>();
  const replaced = new WeakMap<RefreshedSession, Map<string, ReturnType<StoredSessions['replace']>>>();
  return {
    find: (reference) => find(reference, options, places),
    idOf: (session) => places.get(session)?.id,
    async add(id, session) {
      const added = await store.add('session', id, await seal(session), lifetime);
      return added.kind === 'unavailable' ? added.kind : 'ok';
    },
    /** Writes to the store only once per refresh, even if several requests share that refresh. */
    replace(id, before, next) {
      const known = replaced.get(next) ?? new Map<string, ReturnType<StoredSessions['replace']>>();
      replaced.set(next, known);
      const result = known.get(id) ?? write(id, before, next, options, places);
      known.set(id, result);
      return result;
    },
    isOutdated: (session) => places.get(session)?.isOutdated === true,
    async restore(outdated, { session, sealed }) {
      const place = places.get(outdated);
      if (!place) return outdated;
      const { id } = place;
      const written = await store.replace('session', id, place.entry, sealed, lifetime);
      // If the entry has changed, another process may have restored the session.
      const entry = written.kind === 'changed' ? await store.get('session', id) : written;
      const current = written.kind === 'hit' ? session : entry.kind === 'hit' ? open(entry.text) : undefined;
      if (entry.kind !== 'hit' || !current) return outdated;
      places.set(current, { id, entry });
      return current;
    },
    async delete(session) {
      const place = isNotRead(session) ? undefined : places.get(session);
      const hash = isNotRead(session) ? session.reference.idHash : place && store.hashOf('session', place.id);
      if (hash !== undefined) await store.remove('session', hash);
    },
  };
}

async function find(
  reference: SessionReference,
  { store, open }: StoredSessionsOptions,
  places: WeakMap<Session, StoredAt>,
): Promise<Session | NotRead> {
  const { id } = reference;
  const entry = await read(id, store);
  if (entry.kind === 'miss') return { kind: 'not_found' };
  const session = entry.kind === 'hit' ? open(entry.text) : undefined;
  if (entry.kind !== 'hit' || !session) {
    // A process with a different password may be able to read the entry, so the user is not signed out.
    const why = entry.kind === 'unavailable' ? 'store' : 'store_entry';
    return { kind: 'unavailable', why, reference: earlierSessionAt(reference, store) };
  }
  const isOutdated = sessionIdentityOf(session).issuedAt < (reference.issuedAt ?? 0);
  places.set(session, { id, entry, isOutdated });
  return session;
}

/** Returns what is needed to end a session whose cookie refers to the store. */
export function earlierSessionAt(
  { id, sessionId }: SessionReference,
  { hashOf }: Pick<SignedStore, 'hashOf'>,
): EarlierSession {
  return { idHash: hashOf('session', id), sessionId };
}

/** Reads an entry. If it is missing, tries once more after a pause. */
async function read(id: string, store: SignedStore): Promise<Found> {
  const entry = await store.get('session', id);
  if (entry.kind !== 'miss') return entry;
  await pause(REPLICATION_PAUSE);
  return store.get('session', id);
}

async function write(
  id: string,
  before: Session,
  refreshed: RefreshedSession,
  options: StoredSessionsOptions,
  places: WeakMap<Session, StoredAt>,
): ReturnType<StoredSessions['replace']> {
  const { store, open, lifetime } = options;
  const { session, sealed } = refreshed;
  const place = places.get(before);
  const written = place
    ? await store.replace('session', id, place.entry, sealed, lifetime)
    : await store.add('session', id, sealed, lifetime);
  if (written.kind === 'unavailable') return written.kind;
  const entry = written.kind === 'hit' ? written : await read(id, store);
  if (written.kind === 'taken' && entry.kind === 'hit' && isSameToken(open(entry.text), before)) {
    // The session has just been moved from the cookie to the store, by this request or a concurrent one. The entry
    // still contains the version from before the refresh, so it is replaced.
    places.set(before, { id, entry });
    return write(id, before, refreshed, options, places);
  }
  // If the entry has changed in the meantime, another process has refreshed or ended the session.
  if (entry.kind === 'hit') places.set(session, { id, entry });
  return entry.kind === 'miss' ? 'not_found' : 'ok';
}

function isSameToken(stored: Session | undefined, { refreshToken }: Session): boolean {
  return stored?.refreshToken === refreshToken;
}

/** The content of a cookie value that refers to a session in the store. */
export interface SessionReference {
  readonly id: string;
  /** The WorkOS session ID. It allows a user to sign out even while the store is unavailable. */
  readonly sessionId: string | undefined;
  /**
   * When the session's access token was issued, in seconds since the epoch; `undefined` if an earlier release of this
   * package set the cookie.
   */
  readonly issuedAt: number | undefined;
}

/** Creates the IDs of sessions in the store, and reads and writes the cookie values that contain these IDs. */
export interface SessionIds {
  /** Creates a random 256-bit ID. */
  create: () => string;
  /** Derives the ID for a session that moves from its cookie to the store. The same cookie always gives the same ID. */
  deriveFrom: (session: Session) => string;
  /** Returns the cookie value that refers to a session with this ID. */
  write: (id: string, session: Session) => string;
  /** Whether a value has the format of a cookie value with an ID. The MAC is not checked. */
  hasForm: (value: string) => boolean;
  /** Reads a cookie value whose MAC is valid. Returns `undefined` for any other value. Does not call the store. */
  read: (value: string) => SessionReference | undefined;
}

const PREFIX = 's1';

const MAX_LENGTH = 256;

/** Length of the hash in the `<version>` of a cookie value, in characters. */
const HASH_LENGTH = 11;

/**
 * The maximum length of a session ID in a cookie value, in characters. A longer ID is left out. The IDs that WorkOS
 * issues are 34 characters long.
 */
const MAX_SESSION_ID = 64;

/**
 * Creates the functions that read and write cookie values of the form `s1.<id>.<version>.<session id>.<mac>`. Because
 * of the MAC, forged values are refused without a call to the store. The version has the form `<time of issue in base
 * 36>-<hash>`, and changes whenever the session gets new tokens. The version prevents a process from using an old
 * cached session for a browser that has newer tokens. It also shows when the store has lost the newer tokens.
 *
 * @param passwords The first password is used to sign, and all of them are used to verify.
 */
export function createSessionIds(passwords: readonly [string, ...string[]]): SessionIds {
  const keys = passwords.map((password) => deriveKey(password, 'session ids')) as [Buffer, ...Buffer[]];
  const hasForm = (value: string) => value.length <= MAX_LENGTH && value.startsWith(`${PREFIX}.`);
  const macOf = (key: Buffer, text: string) => createHmac('sha256', key).update(text).digest();
  return {
    create: () => randomBytes(32).toString('base64url'),
    deriveFrom: ({ refreshToken }) => macOf(keys[0], `moved ${refreshToken}`).toString('base64url'),
    write(id, session) {
      const sessionId = sessionIdOf(session) ?? '';
      const encoded = sessionId.length > MAX_SESSION_ID ? '' : Buffer.from(sessionId).toString('base64url');
      const issuedAt = Math.max(0, Math.floor(sessionIdentityOf(session).issuedAt)).toString(36);
      const version = `${issuedAt}-${sha256(session.refreshToken).slice(0, HASH_LENGTH)}`;
      const signed = `${PREFIX}.${id}.${version}.${encoded}`;
      return `${signed}.${macOf(keys[0], signed).toString('base64url')}`;
    },
    hasForm,
    read(value) {
      if (!hasForm(value)) return undefined;
      const parts = value.split('.') as [string, string, string, string, ...string[]];
      const [, id, version, encoded, mac, ...rest] = parts;
      if (!mac || rest.length > 0) return undefined;
      const given = Buffer.from(mac, 'base64url');
      // Only the canonical base64url form is accepted. Otherwise, the last character could be changed without making
      // the MAC invalid.
      if (given.length !== 32 || given.toString('base64url') !== mac) return undefined;
      const signed = `${PREFIX}.${id}.${version}.${encoded}`;
      if (!keys.some((key) => timingSafeEqual(macOf(key, signed), given))) return undefined;
      const sessionId = Buffer.from(encoded, 'base64url').toString() || undefined;
      return { id, sessionId, issuedAt: issuedAtOf(version) };
    },
  };
}

/**
 * Returns the time in the version of a cookie value: when the session's access token was issued, in seconds since the
 * epoch. Returns `undefined` if an earlier release, whose versions contain no time, set the cookie.
 */
function issuedAtOf(version: string): number | undefined {
  if (version.length <= HASH_LENGTH) return undefined;
  const time = parseInt(version, 36);
  return Number.isNaN(time) ? undefined : time;
}
