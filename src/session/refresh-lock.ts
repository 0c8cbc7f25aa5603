import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { log } from '../events.js';
import type { Entry, SignedStore } from '../stores/signed-store.js';
import type { Session } from './sealed-session.js';
import {
  isSessionEnded,
  type RefreshResult,
  type RefreshTokens,
  rememberedFor,
  sessionEnded,
} from './token-refresh.js';

/** A holder that gives no sign of life for this long, in milliseconds, is replaced. */
const LEASE = 2500;

const SIGN_OF_LIFE = LEASE / 5;

/** Waiters look for the result ever less often, in milliseconds. */
const FIRST_LOOK = 15;

const LAST_LOOK = 250;

/** What stands in the place of a seal. */
const REFUSED = 'refused';

export interface RefreshLockOptions {
  store: SignedStore;
  open: (sealed: string) => Session | undefined;
  now: () => number;
  /** How long to wait for another process before going on alone, in milliseconds. */
  waitForLock: number;
}

/**
 * Makes a renewal happen once across processes: one of them holds a lock and renews, the others wait for its
 * result. A store that cannot be reached leaves each process on its own, where WorkOS's replay window has to do; so
 * does a holder that takes too long.
 */
export function withRefreshLock(renew: RefreshTokens, options: RefreshLockOptions): RefreshTokens {
  const { store, waitForLock: softTimeout } = options;
  return async (session, organizationId) => {
    const id = idOf(session);
    const waitsUntil = performance.now() + softTimeout;
    const alone = async () => settle(await renew(session, organizationId), session, options);
    for (let wait = FIRST_LOOK; ; wait = Math.min(wait * 2, LAST_LOOK)) {
      const found = await readSharedResult(session, options);
      if (found === 'unavailable') return alone();
      if (found) return found;
      const lock = await store.add('lock', id, randomUUID(), LEASE);
      if (lock.kind === 'unavailable') return alone();
      if (lock.kind === 'hit') return refreshHoldingLock(lock, session, options, alone);
      if (performance.now() >= waitsUntil) {
        log('store', { outcome: 'a refresh goes on without its lock' });
        return alone();
      }
      await pause(wait);
    }
  };
}

/** Renews while the lock is held, unless somebody did so between the look and the lock. */
async function refreshHoldingLock(
  lock: Entry,
  session: Session,
  options: RefreshLockOptions,
  alone: () => Promise<RefreshResult>,
): Promise<RefreshResult> {
  const { store } = options;
  const id = idOf(session);
  let held = Promise.resolve<unknown>(undefined);
  const alive = setInterval(() => {
    held = store.replace('lock', id, lock, lock.text, LEASE);
  }, SIGN_OF_LIFE);
  try {
    const found = await readSharedResult(session, options);
    return found === undefined || found === 'unavailable' ? await alone() : found;
  } finally {
    clearInterval(alive);
    void held.then(() => store.release('lock', id, lock));
  }
}

/** What another process has exchanged the token for. */
async function readSharedResult(
  session: Session,
  { store, open }: RefreshLockOptions,
): Promise<RefreshResult | 'unavailable' | undefined> {
  const found = await store.get('refresh', idOf(session));
  if (found.kind === 'unavailable') return 'unavailable';
  if (found.kind !== 'hit') return undefined;
  if (found.text === REFUSED) return sessionEnded();
  // The seal first: it has no space in it.
  const [sealed = '', ...organization] = found.text.split(' ');
  const next = open(sealed);
  return next?.user.id === session.user.id
    ? { kind: 'refreshed', organization: organization.join(' '), session: next, sealed }
    : undefined;
}

/**
 * Tells the others. New tokens replace a refusal, never the reverse: a process that was stopped over its exchange
 * comes back with tokens when another one has been refused the spent token.
 */
async function settle(
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
    // There is something: a replica that does not know it yet is asked once more.
    await pause(LAST_LOOK);
    found = await readSharedResult(session, options);
  }
  return found === undefined || found === 'unavailable' ? result : found;
}

function idOf({ refreshToken }: Session): string {
  return createHash('sha256').update(refreshToken).digest('base64url');
}
