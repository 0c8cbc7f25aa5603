import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { unavailable } from '../errors.js';
import { log } from '../events.js';
import { sha256 } from '../sha256.js';
import type { Entry, SignedStore } from '../stores/signed-store.js';
import type { Session } from './sealed-session.js';
import {
  isSessionEnded,
  type RefreshResult,
  type RefreshTokens,
  rememberedFor,
  sessionEnded,
} from './refresh-at-workos.js';

/** A lock that its process has not extended for this long, in milliseconds, expires. */
const LEASE = 2500;

/** How often a process extends its lock, in milliseconds. */
const EXTEND_EVERY = LEASE / 5;

/** The pause between two reads of a process that waits for a result, in milliseconds; it doubles each time. */
const FIRST_PAUSE = 15;

const LONGEST_PAUSE = 250;

/** How long the others are told that a process could not refresh a session, in milliseconds. */
const FAILURE_FOR = 2000;

/** Stored in place of a sealed session. */
const REFUSED = 'refused';

export interface RefreshLockOptions {
  store: SignedStore;
  open: (sealed: string) => Session | undefined;
  now: () => number;
  /** How long to wait for the process that holds the lock before refreshing without it, in milliseconds. */
  waitForLock: number;
}

/**
 * Makes refreshes happen once across processes: one process holds a lock and refreshes, and the others wait for its
 * result. If it gets none from WorkOS, the processes that waited for it do not ask WorkOS either: the next request does.
 * If the store is unavailable, or the lock is held for too long, a process refreshes on its own. This is safe within the
 * 30 seconds for which WorkOS returns the same tokens.
 */
export function withRefreshLock(refresh: RefreshTokens, options: RefreshLockOptions): RefreshTokens {
  const { store, waitForLock } = options;
  return async (session, organizationId) => {
    const id = idOf(session);
    const waitsUntil = performance.now() + waitForLock;
    const failures = createFailureWatch(id, store);
    const refreshLocally = async () => shareResult(await refresh(session, organizationId), session, options);
    for (let wait = FIRST_PAUSE; ; wait = Math.min(wait * 2, LONGEST_PAUSE)) {
      const found = await readSharedResult(session, options);
      if (found === 'unavailable') return refreshLocally();
      if (found) return found;
      if (await failures.isNew()) return unavailableElsewhere();
      const lock = await store.add('lock', id, randomUUID(), LEASE);
      if (lock.kind === 'unavailable') return refreshLocally();
      if (lock.kind === 'hit') return refreshHoldingLock(lock, session, options, refreshLocally);
      if (performance.now() >= waitsUntil) {
        log('store', { outcome: 'refreshing without the lock' });
        return refreshLocally();
      }
      await failures.start();
      await pause(wait);
    }
  };
}

/** Notices that the process that holds the lock has failed, while this one waits for it. */
function createFailureWatch(id: string, store: SignedStore) {
  /** The failure that was there before, if any. */
  let known: string | undefined;
  let isStarted = false;
  const read = async () => {
    const found = await store.get('failure', id);
    return found.kind === 'hit' ? found.text : '';
  };
  return {
    async start(): Promise<void> {
      if (isStarted) return;
      isStarted = true;
      known = await read();
    },
    async isNew(): Promise<boolean> {
      if (!isStarted) return false;
      const text = await read();
      return text !== '' && text !== known;
    },
  };
}

function unavailableElsewhere(): RefreshResult {
  return { kind: 'unavailable', error: unavailable('another process could not refresh the session') };
}

/** Refreshes while the lock is held, unless another process did so just before it was acquired. */
async function refreshHoldingLock(
  lock: Entry,
  session: Session,
  options: RefreshLockOptions,
  refreshLocally: () => Promise<RefreshResult>,
): Promise<RefreshResult> {
  const { store } = options;
  const id = idOf(session);
  let extended = Promise.resolve<unknown>(undefined);
  const timer = setInterval(() => {
    extended = store.replace('lock', id, lock, lock.text, LEASE);
  }, EXTEND_EVERY);
  try {
    const found = await readSharedResult(session, options);
    const result = found === undefined || found === 'unavailable' ? await refreshLocally() : found;
    if (result.kind === 'unavailable') await store.put('failure', id, randomUUID(), FAILURE_FOR);
    return result;
  } finally {
    clearInterval(timer);
    void extended.then(() => store.release('lock', id, lock));
  }
}

/** The result that another process got for the token. */
async function readSharedResult(
  session: Session,
  { store, open }: RefreshLockOptions,
): Promise<RefreshResult | 'unavailable' | undefined> {
  const found = await store.get('refresh', idOf(session));
  if (found.kind === 'unavailable') return 'unavailable';
  if (found.kind !== 'hit') return undefined;
  if (found.text === REFUSED) return sessionEnded();
  // `<sealed session> <organization>`: there is no space in a seal.
  const [sealed = '', ...organization] = found.text.split(' ');
  const next = open(sealed);
  return next?.user.id === session.user.id
    ? { kind: 'refreshed', organization: organization.join(' '), session: next, sealed }
    : undefined;
}

/**
 * Stores a result for the other processes. New tokens replace a refusal, never the reverse: a process that was paused
 * during its exchange may store tokens after another process was refused the spent token.
 */
async function shareResult(
  result: RefreshResult,
  session: Session,
  options: RefreshLockOptions,
): Promise<RefreshResult> {
  const { store, now } = options;
  const id = idOf(session);
  const ttl = rememberedFor(result, now());
  if (result.kind === 'refreshed') {
    await store.put('refresh', id, `${result.sealed} ${result.organization}`, ttl);
    return result;
  }
  if (!isSessionEnded(result)) return result;
  const refused = await store.add('refresh', id, REFUSED, ttl);
  let found = refused.kind === 'taken' ? await readSharedResult(session, options) : undefined;
  if (refused.kind === 'taken' && found === undefined) {
    // There is an entry, but the replica that was read does not have it yet.
    await pause(LONGEST_PAUSE);
    found = await readSharedResult(session, options);
  }
  return found === undefined || found === 'unavailable' ? result : found;
}

/** The key of a refresh token in the store. */
function idOf({ refreshToken }: Session): string {
  return sha256(refreshToken);
}
