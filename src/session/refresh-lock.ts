import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { unavailable } from '../errors.js';
import { log } from '../events.js';
import { expiringMap } from '../expiring-map.js';
import { sha256 } from '../sha256.js';
import type { Entry, SignedStore } from '../stores/signed-store.js';
import type { Session } from './sealed-session.js';
import {
  isSessionEnded,
  isTokenSpent,
  type RefreshResult,
  type RefreshTokens,
  rememberedFor,
  sessionEnded,
} from './refresh-at-workos.js';

/** A lock expires if its process has not extended it for this long, in milliseconds. */
const LEASE = 2500;

/** How often a process extends its lock, in milliseconds. */
const EXTEND_EVERY = LEASE / 5;

/**
 * The first pause between two reads while a process waits for a result, in milliseconds. Each pause is twice as long as
 * the one before it.
 */
const FIRST_PAUSE = 15;

/** The longest pause between two reads, in milliseconds. */
const LONGEST_PAUSE = 250;

/** How long the other processes can see that a refresh failed, in milliseconds. */
const FAILURE_FOR = 2000;

/** Stored in place of a sealed session if WorkOS refused the token. */
const REFUSED = 'refused';

/**
 * After a refusal that could not be confirmed, further refusals of the same token are not believed for this many
 * milliseconds. This covers the requests of one page and a quick retry.
 */
const DOUBTED_FOR = 5000;

/** How long an unconfirmed refusal is remembered, in milliseconds. */
const DOUBT_REMEMBERED_FOR = 3_600_000;
/** How many unconfirmed refusals are remembered. */
const MAX_DOUBTS = 10_000;

export interface RefreshLockOptions {
  store: SignedStore;
  open: (sealed: string) => Session | undefined;
  now: () => number;
  /** How long to wait for the process that holds the lock before refreshing without the lock, in milliseconds. */
  waitForLock: number;
}

/**
 * Refreshes each session once across processes: one process holds a lock and refreshes, and the others wait for its
 * result. If WorkOS is unavailable, the processes that waited do not call WorkOS either; the next request does. If the
 * store is unavailable, or the lock is held for too long, a process refreshes on its own. This is safe within the 30
 * seconds for which WorkOS returns the same tokens. After that, WorkOS refuses a token that another process has used,
 * so {@link confirmRefusal} decides whether the session has ended.
 */
export function withRefreshLock(refresh: RefreshTokens, options: RefreshLockOptions): RefreshTokens {
  const { store, waitForLock } = options;
  const doubts = createDoubts(options.now);
  return async (session, organizationId) => {
    const id = idOf(session);
    const waitsUntil = performance.now() + waitForLock;
    const failures = createFailureWatch(id, store);
    const context = { session, doubts, ...options };
    const refreshLocally = () => refresh(session, organizationId);
    const refreshWithoutLock = async () => shareResult(await refreshLocally(), false, context);
    for (let wait = FIRST_PAUSE; ; wait = Math.min(wait * 2, LONGEST_PAUSE)) {
      const found = await readSharedResult(context);
      if (found === 'unavailable') return refreshWithoutLock();
      if (found) return found;
      if (await failures.isNew()) return unavailableElsewhere();
      const lock = await store.add('lock', id, randomUUID(), LEASE);
      if (lock.kind === 'unavailable') return refreshWithoutLock();
      if (lock.kind === 'hit') return refreshHoldingLock(lock, context, refreshLocally);
      if (performance.now() >= waitsUntil) {
        log('store', { outcome: 'refreshing without the lock' });
        return refreshWithoutLock();
      }
      await failures.start();
      await pause(wait);
    }
  };
}

/** The context of one refresh. */
interface RefreshContext extends RefreshLockOptions {
  readonly session: Session;
  readonly doubts: Doubts;
}

/** Creates a watch that notices if the process that holds the lock fails while this one waits. */
function createFailureWatch(id: string, store: SignedStore) {
  /** The failure that was stored before the wait, if any. */
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

/** Refreshes while holding the lock, unless another process did so just before this one acquired it. */
async function refreshHoldingLock(
  lock: Entry,
  context: RefreshContext,
  refreshLocally: () => Promise<RefreshResult>,
): Promise<RefreshResult> {
  const { store, session } = context;
  const id = idOf(session);
  let extended = Promise.resolve<unknown>(undefined);
  const timer = setInterval(() => {
    extended = store.replace('lock', id, lock, lock.text, LEASE);
  }, EXTEND_EVERY);
  try {
    const found = await readSharedResult(context);
    if (found && found !== 'unavailable') return found;
    const result = await shareResult(await refreshLocally(), found === undefined, context);
    if (result.kind === 'unavailable') await store.put('failure', id, randomUUID(), FAILURE_FOR);
    return result;
  } finally {
    clearInterval(timer);
    void extended.then(() => store.release('lock', id, lock));
  }
}

/** Reads the result that another process has stored for the refresh token of a session. */
async function readSharedResult({
  session,
  store,
  open,
}: RefreshContext): Promise<RefreshResult | 'unavailable' | undefined> {
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
 * Stores a result for the other processes. New tokens replace a refusal, but a refusal never replaces new tokens: a
 * process that was paused during its exchange may store its tokens late, after WorkOS has refused the spent token to
 * another process.
 *
 * @param isConclusive Whether a refusal means that the session has ended. It does if this process held the lock and the
 * store had no result of another process.
 */
async function shareResult(
  result: RefreshResult,
  isConclusive: boolean,
  context: RefreshContext,
): Promise<RefreshResult> {
  const { store, session, now } = context;
  const id = idOf(session);
  const ttl = rememberedFor(result, now());
  if (result.kind === 'refreshed') {
    if (isTokenSpent(session, result))
      await store.put('refresh', id, `${result.sealed} ${result.organization}`, ttl);
    return result;
  }
  if (!isSessionEnded(result)) return result;
  if (isConclusive && (await store.add('refresh', id, REFUSED, ttl)).kind === 'hit') return result;
  return confirmRefusal(result, context);
}

/**
 * Decides whether a refusal means that the session has ended, if this process did not hold the lock or could not store
 * the refusal. WorkOS may have refused the token because another process has used it, and an outage of the store may
 * hide the result of that process. So the result is read again. If it is not found, the user stays signed in and the
 * request gets 503: a retry may find the result. The browser may already have a new cookie from the other process,
 * which must not be cleared.
 *
 * If the session has really ended, requests must not get 503 until the store is available again. That may take hours,
 * during which the user could not sign in again. So a later refusal of the same token is believed.
 */
async function confirmRefusal(refusal: RefreshResult, context: RefreshContext): Promise<RefreshResult> {
  const { session, doubts } = context;
  for (const wait of [0, LONGEST_PAUSE]) {
    // The other process may be storing its result, and a replica may not have it yet.
    if (wait > 0) await pause(wait);
    const found = await readSharedResult(context);
    if (found && found !== 'unavailable') return found;
  }
  if (doubts.areOver(idOf(session))) return refusal;
  log('store', { outcome: 'a refusal of WorkOS could not be confirmed' });
  return {
    kind: 'unavailable',
    error: unavailable('WorkOS refused the refresh token, which another process may have used'),
  };
}

/** Refusals that could not be confirmed. */
interface Doubts {
  /**
   * Whether an earlier refusal of the same token is long enough ago for this one to be believed. If there was no
   * earlier refusal, this one is remembered.
   */
  areOver: (id: string) => boolean;
}

function createDoubts(now: () => number): Doubts {
  const firstRefusals = expiringMap<number>({ max: MAX_DOUBTS, ttl: DOUBT_REMEMBERED_FOR, now });
  return {
    areOver(id) {
      const first = firstRefusals.get(id);
      if (first === undefined) firstRefusals.set(id, now());
      // The clock may also have been set back.
      return first !== undefined && Math.abs(now() - first) >= DOUBTED_FOR;
    },
  };
}

/** The key of a refresh token in the store. */
function idOf({ refreshToken }: Session): string {
  return sha256(refreshToken);
}
