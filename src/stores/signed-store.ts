import { createHmac, timingSafeEqual } from 'node:crypto';
import { type AuthKitEvents, createWarning, errorNameOf, publish } from '../diagnostics.js';
import { sha256 } from '../sha256.js';
import type { Store } from './index.js';

/** The purpose of an entry. It is part of the key. */
export type EntryKind = 'session' | 'refresh' | 'failure' | 'ready' | 'lock' | 'ended' | 'user' | 'webhook';

/**
 * An entry of the store. `text` is its content, and `raw` is the signed text in the store, which `replace` compares.
 */
export interface Entry {
  readonly kind: 'hit';
  readonly text: string;
  readonly raw: string;
}

export type Written = 'ok' | 'unavailable';

export type Unavailable = { readonly kind: 'unavailable' };

/**
 * The result of a read. `unreadable` means that there is a value but its signature could not be verified. Possible
 * reasons: the value was altered, was moved to a different key, was written by a release with a different format, or
 * was signed with a password that this process does not know.
 */
export type Found = Entry | { readonly kind: 'miss' } | { readonly kind: 'unreadable' } | Unavailable;

/** A store with hashed keys and signed entries. Its methods never reject. */
export interface SignedStore {
  get: (kind: EntryKind, id: string) => Promise<Found>;
  /** @param ttl Time to live of the entry, in milliseconds. */
  put: (kind: EntryKind, id: string, text: string, ttl: number) => Promise<Written>;
  /**
   * Adds an entry if there is none with this ID. Otherwise, the result is `taken`.
   *
   * @param ttl Time to live of the entry, in milliseconds.
   */
  add: (
    kind: EntryKind,
    id: string,
    text: string,
    ttl: number,
  ) => Promise<Entry | { readonly kind: 'taken' } | Unavailable>;
  /**
   * Replaces `entry` if the store still contains it. Otherwise, the result is `changed`.
   *
   * @param ttl Time to live of the new value, in milliseconds.
   */
  replace: (
    kind: EntryKind,
    id: string,
    entry: Entry,
    text: string,
    ttl: number,
  ) => Promise<Entry | { readonly kind: 'changed' } | Unavailable>;
  /** Deletes an entry if the store still contains `entry`. */
  release: (kind: EntryKind, id: string, entry: Entry) => Promise<unknown>;
  /** Returns the hash of an entry's ID. With this hash, the entry can only be deleted. */
  hashOf: (kind: EntryKind, id: string) => string;
  /** Deletes the entry whose ID has this hash. */
  remove: (kind: EntryKind, hash: string) => Promise<Written>;
}

export interface SignedStoreOptions {
  store: Store;
  clientId: string;
  /** The first password is used to sign, and all of them are used to verify. */
  passwords: readonly [string, ...string[]];
  /** The maximum time that a call waits for the store, in milliseconds. */
  timeout: number;
  /**
   * Whether to emit a process warning if the store does not work. Set this option if requests succeed without the
   * store, because an outage would then go unnoticed.
   */
  warnsIfLost?: boolean;
}

const VERSION = '1';

/**
 * Creates a store that signs every entry together with its key. An attacker who has access only to the store therefore
 * cannot create an entry, or replace one user's entry with another user's. Entries are not encrypted, so callers must
 * seal secrets before they pass them to this store.
 */
export function createSignedStore(options: SignedStoreOptions): SignedStore {
  const { store, clientId, passwords } = options;
  const callStore = createCallStore(options);
  const keys = passwords.map((password) => deriveKey(password, 'store entries'));
  const [signing] = keys as [Buffer, ...Buffer[]];
  const hashOf = (kind: EntryKind, id: string) => sha256(`${clientId}\0${kind}\0${id}`);
  const keyOf = (kind: EntryKind, id: string) => `${kind}:${hashOf(kind, id)}`;
  const entryOf = (key: string, text: string): Entry => ({
    kind: 'hit',
    text,
    raw: `${VERSION}.${sign(signing, key, text)}.${text}`,
  });
  const done = async (operation: StoreOperation, call: () => Promise<unknown>): Promise<Written> =>
    (await callStore(operation, call)).kind === 'ok' ? 'ok' : 'unavailable';
  return {
    async get(kind, id) {
      const key = keyOf(kind, id);
      const reply = await callStore('get', () => store.get(key));
      return reply.kind === 'unavailable' ? UNAVAILABLE : read(key, reply.value, keys);
    },
    put(kind, id, text, ttl) {
      const key = keyOf(kind, id);
      return done('set', () => store.set(key, entryOf(key, text).raw, ttl));
    },
    async add(kind, id, text, ttl) {
      const key = keyOf(kind, id);
      const entry = entryOf(key, text);
      const reply = await callStore('add', () => store.add(key, entry.raw, ttl));
      if (reply.kind === 'unavailable') return reply;
      return isTrue(reply.value) ? entry : { kind: 'taken' };
    },
    async replace(kind, id, { raw }, text, ttl) {
      const key = keyOf(kind, id);
      const next = entryOf(key, text);
      const reply = await callStore('replace', () => store.replace(key, raw, next.raw, ttl));
      if (reply.kind === 'unavailable') return reply;
      return isTrue(reply.value) ? next : { kind: 'changed' };
    },
    release: (kind, id, { raw }) =>
      callStore('replace', () => store.replace(keyOf(kind, id), raw, undefined, 0)),
    hashOf,
    remove: (kind, hash) => done('delete', () => store.delete(`${kind}:${hash}`)),
  };
}

/**
 * Whether a reply is `true`. A store that the application implements may resolve to anything, such as a row count or an
 * empty object.
 */
function isTrue(value: unknown): boolean {
  return value === true;
}

/** Derives a key for one purpose from a cookie password. The password itself is used only to seal. */
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

/** The reply to one call to the store. */
export type StoreReply<T> = { readonly kind: 'ok'; readonly value: T } | { readonly kind: 'unavailable' };

/** Calls the store with a time limit. Never throws or rejects. */
export type CallStore = <T>(operation: StoreOperation, call: () => Promise<T>) => Promise<StoreReply<T>>;

type StoreOperation = AuthKitEvents['authkit:store']['operation'];

const UNAVAILABLE = Object.freeze({ kind: 'unavailable' });

/** How long the store is not called after a call has timed out, in milliseconds. See {@link createCallStore}. */
const PAUSE = 1000;

/** How long other calls wait for the result of a trial, as a fraction of the timeout. See {@link createCallStore}. */
const TRIAL_PART = 1 / 4;

/** The number of ticks into which {@link createTimer} divides its time. */
const TICKS = 4;

/**
 * Creates the function that calls the store. Every call has a time limit. After a call has timed out, calls fail
 * immediately for {@link PAUSE} milliseconds. The first call after this pause, the trial, is sent to the store. If it
 * also times out, the pause starts again. A call that rejects does not start a pause, because the store did not hang.
 * If a call that was sent before the pause succeeds or rejects, the pause ends early.
 *
 * Calls that arrive during a trial wait briefly for its result, because a store that works again replies quickly. If
 * these calls failed immediately, most of the requests that arrive together after an outage would refresh their
 * sessions without the lock.
 */
function createCallStore(options: SignedStoreOptions): CallStore {
  const { timeout } = options;
  let silentSince: number | undefined;
  /**
   * Set during a trial. Resolves to whether the store replies, even with an error, within {@link TRIAL_PART} of the
   * timeout.
   */
  let trial: Promise<boolean> | undefined;
  const report = createReporter(options);
  const callOnce: CallStore = async (operation, call) => {
    const started = performance.now();
    const outcome = await callWithin(timeout, call);
    silentSince = outcome.kind === 'timeout' ? performance.now() : undefined;
    report(operation, outcome, performance.now() - started);
    return outcome.kind === 'ok' ? outcome : UNAVAILABLE;
  };
  const tryAgain: CallStore = async (operation, call) => {
    const reply = callOnce(operation, call);
    trial = settlesWithin(timeout * TRIAL_PART, reply).then((isSettled) => isSettled && !isSilent());
    await reply;
    trial = undefined;
    return reply;
  };
  const isSilent = () => silentSince !== undefined;
  return async (operation, call) => {
    if (silentSince === undefined) return callOnce(operation, call);
    if (trial) return (await trial) ? callOnce(operation, call) : UNAVAILABLE;
    return performance.now() - silentSince < PAUSE ? UNAVAILABLE : tryAgain(operation, call);
  };
}

/** Resolves to whether a promise settles within `ms` milliseconds. The promise must not reject. */
async function settlesWithin(ms: number, promise: Promise<unknown>): Promise<boolean> {
  const timer = createTimer(ms);
  const isSettled = await Promise.race([promise.then(() => true), timer.over.then(() => false)]);
  timer.stop();
  return isSettled;
}

type Outcome<T> =
  | { readonly kind: 'ok'; readonly value: T }
  | { readonly kind: 'timeout' }
  | { readonly kind: 'error'; readonly error: unknown };

/**
 * Creates a function that publishes `authkit:store` if the outcome of an operation differs from the previous outcome of
 * the same operation. If `warnsIfLost` is set, it also warns about a failure.
 */
function createReporter({ clientId, warnsIfLost }: SignedStoreOptions) {
  const last = new Map<StoreOperation, Outcome<unknown>['kind']>();
  return (operation: StoreOperation, outcome: Outcome<unknown>, duration: number): void => {
    const { kind } = outcome;
    if ((last.get(operation) ?? 'ok') === kind) return;
    last.set(operation, kind);
    const code = kind === 'error' ? codeOf(outcome.error) : undefined;
    publish('store', { clientId, operation, outcome: kind, duration: Math.round(duration), code });
    if (kind !== 'ok' && warnsIfLost) warnAboutLostStore(operation, code ?? kind);
  };
}

const warn = createWarning('AUTHKIT_STORE');

/** Warns that the store does not work. */
function warnAboutLostStore(operation: StoreOperation, problem: string): void {
  warn(
    `The store does not work (${operation}: ${problem}). Users stay signed in, because sessions are in cookies, but a ` +
      'session that is ended in one process stays valid in the others: with authkit() until its access token expires, ' +
      'with sso() until the session expires.',
  );
}

/**
 * Returns the code or the name of an error. Never returns its message, which may contain data that was sent to the
 * store.
 */
function codeOf(error: unknown): string {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return typeof code === 'string' && /^[\w.-]{1,64}$/.test(code) ? code : errorNameOf(error);
}

async function callWithin<T>(timeout: number, call: () => Promise<T>): Promise<Outcome<T>> {
  const timer = createTimer(timeout);
  try {
    const reply = Promise.resolve(call()).then((value) => ({ kind: 'ok', value }) as const);
    const outcome = await Promise.race([reply, timer.over]);
    // A call that rejects after the timeout must not cause an unhandled rejection.
    if (outcome.kind === 'timeout') reply.catch(() => undefined);
    return outcome;
  } catch (error) {
    return { kind: 'error', error };
  } finally {
    timer.stop();
  }
}

/**
 * Creates a timer that does not count the time during which this process is too busy to read a reply. A turn of the
 * event loop that takes longer than a tick counts as only one tick, because the reply may have arrived during that
 * turn.
 */
function createTimer(ms: number) {
  let timer: NodeJS.Timeout;
  const over = new Promise<{ readonly kind: 'timeout' }>((resolve) => {
    const tick = (left: number) => {
      if (left === 0) setImmediate(resolve, { kind: 'timeout' });
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
