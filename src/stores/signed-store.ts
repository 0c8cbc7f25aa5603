import { createHmac, timingSafeEqual } from 'node:crypto';
import { log } from '../events.js';
import { sha256 } from '../sha256.js';
import type { Store } from './index.js';

/** What lies in the store. */
export type EntryKind = 'session' | 'refresh' | 'lock' | 'ended' | 'user' | 'webhook';

/** `raw` is what stands in the store, to be named in a `replace`. */
export interface Entry {
  readonly kind: 'hit';
  readonly text: string;
  readonly raw: string;
}

export type Written = 'ok' | 'unavailable';

export type Unavailable = { readonly kind: 'unavailable' };

/**
 * What a look into the store comes to. `unreadable`: there is something, and it is not ours, not at its place, of
 * another version, or under a password that this process does not know.
 */
export type Found = Entry | { readonly kind: 'miss' } | { readonly kind: 'unreadable' } | Unavailable;

/** The store as this package uses it: keys that tell nothing, entries that cannot be forged or moved, no rejections. */
export interface SignedStore {
  get: (kind: EntryKind, id: string) => Promise<Found>;
  /** @param ttl Milliseconds. */
  put: (kind: EntryKind, id: string, text: string, ttl: number) => Promise<Written>;
  add: (
    kind: EntryKind,
    id: string,
    text: string,
    ttl: number,
  ) => Promise<Entry | { readonly kind: 'taken' } | Unavailable>;
  /** Replaces what still is `entry`. */
  replace: (
    kind: EntryKind,
    id: string,
    entry: Entry,
    text: string,
    ttl: number,
  ) => Promise<Entry | { readonly kind: 'changed' } | Unavailable>;
  /** Deletes what still is `entry`. */
  release: (kind: EntryKind, id: string, entry: Entry) => Promise<unknown>;
  remove: (kind: EntryKind, id: string) => Promise<Written>;
}

export interface SignedStoreOptions {
  store: Store;
  clientId: string;
  /** The first signs, all of them verify. */
  passwords: readonly [string, ...string[]];
  /** Milliseconds for one call. */
  deadline: number;
}

const VERSION = '1';

/**
 * Entries are signed together with their key: whoever can write to the store can neither make one nor put somebody's
 * in the place of somebody else's. What is secret in them is sealed before it comes here.
 */
export function createSignedStore({ store, clientId, passwords, deadline }: SignedStoreOptions): SignedStore {
  const ask: CallStore = createCallStore(deadline);
  const keys = passwords.map((password) => deriveKey(password, 'store entries'));
  const [signing] = keys as [Buffer, ...Buffer[]];
  const keyOf = (kind: EntryKind, id: string) => `${kind}:${sha256(`${clientId}\0${kind}\0${id}`)}`;
  const entryOf = (key: string, text: string): Entry => ({
    kind: 'hit',
    text,
    raw: `${VERSION}.${sign(signing, key, text)}.${text}`,
  });
  const done = async (call: () => Promise<unknown>): Promise<Written> =>
    (await ask(call)).kind === 'ok' ? 'ok' : 'unavailable';
  return {
    async get(kind, id) {
      const key = keyOf(kind, id);
      const reply = await ask(() => store.get(key));
      return reply.kind === 'unavailable' ? UNAVAILABLE : read(key, reply.value, keys);
    },
    put(kind, id, text, ttl) {
      const key = keyOf(kind, id);
      return done(() => store.set(key, entryOf(key, text).raw, ttl));
    },
    async add(kind, id, text, ttl) {
      const key = keyOf(kind, id);
      const entry = entryOf(key, text);
      const reply = await ask(() => store.add(key, entry.raw, ttl));
      if (reply.kind === 'unavailable') return reply;
      return reply.value ? entry : { kind: 'taken' };
    },
    async replace(kind, id, { raw }, text, ttl) {
      const key = keyOf(kind, id);
      const next = entryOf(key, text);
      const reply = await ask(() => store.replace(key, raw, next.raw, ttl));
      if (reply.kind === 'unavailable') return reply;
      return reply.value ? next : { kind: 'changed' };
    },
    release: (kind, id, { raw }) => ask(() => store.replace(keyOf(kind, id), raw, undefined, 0)),
    remove: (kind, id) => done(() => store.delete(keyOf(kind, id))),
  };
}

/** A key for one purpose out of a cookie password, which itself is for seals. */
export function deriveKey(password: string, purpose: string): Buffer {
  return createHmac('sha256', password).update(`authkit-express ${purpose}`).digest();
}

function read(key: string, value: unknown, keys: readonly Buffer[]): Found {
  if (value === null || value === undefined) return { kind: 'miss' };
  if (typeof value !== 'string') return { kind: 'unreadable' };
  const [version, mac = '', ...rest] = value.split('.');
  const text = rest.join('.');
  if (version !== VERSION || !keys.some((secret) => isSigned(secret, key, text, mac)))
    return { kind: 'unreadable' };
  return { kind: 'hit', text, raw: value };
}

function sign(secret: Buffer, key: string, text: string): string {
  return createHmac('sha256', secret).update(`${key}\0${text}`).digest('base64url');
}

function isSigned(secret: Buffer, key: string, text: string, mac: string): boolean {
  const expected = Buffer.from(sign(secret, key, text));
  const given = Buffer.from(mac);
  return expected.length === given.length && timingSafeEqual(expected, given);
}

/** An answer of the store's, or none in time. */
export type StoreReply<T> = { readonly kind: 'ok'; readonly value: T } | { readonly kind: 'unavailable' };

/** Calls the store. Never throws, never rejects, never waits longer than the deadline. */
export type CallStore = <T>(call: () => Promise<T>) => Promise<StoreReply<T>>;

export const UNAVAILABLE = Object.freeze({ kind: 'unavailable' });

/** A store that did not answer in time is left alone for this long, in milliseconds; then one call tries it. */
const LEFT_ALONE = 1000;

const TICKS = 4;

/**
 * Puts a deadline around every call. A store that hangs delays one call in a while, and not each of them; one that
 * refuses says so at once, and is asked again at once.
 *
 * @param deadline Milliseconds.
 */
export function createCallStore(deadline: number): CallStore {
  let silentSince: number | undefined;
  let isTrying = false;
  return async (call) => {
    const isSilent = silentSince !== undefined;
    if (isSilent && (isTrying || performance.now() - (silentSince ?? 0) < LEFT_ALONE)) return UNAVAILABLE;
    isTrying = isSilent;
    const outcome = await within(deadline, call);
    if (isSilent) isTrying = false;
    if (outcome === 'silent') silentSince = performance.now();
    else silentSince = undefined;
    return typeof outcome === 'string' ? UNAVAILABLE : { kind: 'ok', value: outcome.value };
  };
}

async function within<T>(
  deadline: number,
  call: () => Promise<T>,
): Promise<{ value: T } | 'silent' | 'failed'> {
  const timer = createTimer(deadline);
  try {
    const answered = Promise.resolve(call()).then((value) => ({ value }));
    const outcome = await Promise.race([answered, timer.over]);
    if (outcome === 'silent') {
      answered.catch(() => undefined);
      log('store', { outcome: 'did not answer in time' });
    }
    return outcome;
  } catch (error) {
    log('store', { outcome: 'refused', error: error instanceof Error ? error.name : typeof error });
    return 'failed';
  } finally {
    timer.stop();
  }
}

/**
 * Time in which this process listened. A turn of the event loop that takes longer than a tick counts as one: the
 * answer may have lain unread all the while, and a busy process is no reason to believe that the store is gone.
 */
function createTimer(ms: number) {
  let timer: NodeJS.Timeout;
  const over = new Promise<'silent'>((resolve) => {
    const tick = (left: number) => {
      if (left === 0) setImmediate(resolve, 'silent');
      else timer = setTimeout(tick, ms / TICKS, left - 1);
    };
    tick(TICKS);
  });
  return {
    over,
    stop: () => {
      clearTimeout(timer);
    },
  };
}
