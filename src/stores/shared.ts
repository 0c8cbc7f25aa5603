import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { createCallStore, UNAVAILABLE, type CallStore } from './deadline.js';
import type { Store } from './store.js';

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
  const keyOf = (kind: EntryKind, id: string) =>
    `${kind}:${createHash('sha256').update(`${clientId}\0${kind}\0${id}`).digest('base64url')}`;
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
