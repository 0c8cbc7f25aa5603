import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { unavailable } from '../errors.js';
import { log } from '../diagnostics.js';
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

/** How long a lock is valid, in milliseconds. The process that holds the lock extends it during the refresh. */
const LEASE = 2500;

/** How often a process extends its lock, in milliseconds. */
const EXTEND_EVERY = LEASE / 5;

/**
 * A process that waits for another process's refresh result reads the store repeatedly. This is the first pause between
 * two reads, in milliseconds. Each further pause is twice as long, up to {@link LONGEST_PAUSE}.
 */
const FIRST_PAUSE = 15;

/** The longest pause between two reads of the store, in milliseconds. */
const LONGEST_PAUSE = 250;

/** The maximum number of further refreshes that {@link readSharedResult} follows to the latest result. */
const MAX_FOLLOWED = 10;

/**
 * How long the record of a failed refresh stays in the store, in milliseconds. The processes that wait for the result
 * read this record.
 */
const FAILURE_FOR = 2000;

/** The value that is stored instead of a sealed session if WorkOS refused the refresh token. */
const REFUSED = 'refused';

/**
 * The time during which refusals of a refresh token are not accepted as final, in milliseconds. It starts with the
 * first refusal that could not be confirmed, and is long enough for all requests of a page and a quick retry.
 */
const DOUBTED_FOR = 5000;

/** How long an unconfirmed refusal is remembered, in milliseconds. */
const DOUBT_REMEMBERED_FOR = 3_600_000;
/** The maximum number of unconfirmed refusals that a process remembers. */
const MAX_DOUBTS = 10_000;

export interface RefreshLockOptions {
  store: SignedStore;
  open: (sealed: string) => Session | undefined;
  now: () => number;
  /** How long a request waits for the lock, in milliseconds. After that, it refreshes the session without the lock. */
  waitForLock: number;
}

/**
 * Wraps `refresh` so that only one process at a time refreshes a session. That process holds a lock, and the other
 * processes wait for its result. If the refresh fails because WorkOS is unavailable, the waiting processes do not call
 * WorkOS either. The next request calls WorkOS again.
 *
 * If the store is unavailable, or if the lock is held for too long, a process refreshes the session without the lock.
 * This is safe for 30 seconds after the first refresh, because WorkOS returns the same tokens again during that time.
 * After that, WorkOS refuses a refresh token that another process has used, and {@link confirmRefusal} decides whether
 * the session has ended.
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

interface RefreshContext extends RefreshLockOptions {
  readonly session: Session;
  readonly doubts: Doubts;
}

/**
 * Creates a watch for a process that waits for the lock. The watch detects whether the process that holds the lock has
 * failed to refresh the session.
 */
function createFailureWatch(id: string, store: SignedStore) {
  /** The failure that the store already contained when the wait started, if any. */
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

/**
 * Refreshes a session while holding the lock, and then releases the lock. If another process refreshed the session just
 * before this one acquired the lock, returns the result of that refresh instead.
 */
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

/**
 * Reads the refresh result that another process has stored for a session's refresh token. If the session has been
 * refreshed again since, for example to switch the organization, returns the latest of at most {@link MAX_FOLLOWED}
 * later results. The tokens of an earlier result cannot be refreshed again.
 *
 * @returns The result. `undefined` if the store contains no usable result. `unavailable` if the store is unavailable.
 */
async function readSharedResult(
  context: RefreshContext,
  followed = 0,
): Promise<RefreshResult | 'unavailable' | undefined> {
  const { session, store, open } = context;
  const found = await store.get('refresh', idOf(session));
  if (found.kind === 'unavailable') return 'unavailable';
  if (found.kind !== 'hit') return undefined;
  if (found.text === REFUSED) return sessionEnded();
  // The format is `<sealed session> <organization>`. A seal contains no spaces.
  const [sealed = '', ...organization] = found.text.split(' ');
  const next = open(sealed);
  if (next?.user.id !== session.user.id) return undefined;
  const later =
    followed < MAX_FOLLOWED ? await readSharedResult({ ...context, session: next }, followed + 1) : undefined;
  if (later && later !== 'unavailable' && later.kind === 'refreshed') return later;
  return { kind: 'refreshed', organization: organization.join(' '), session: next, sealed };
}

/**
 * Stores a refresh result for the other processes, and returns the result to use. New tokens replace a refusal, but a
 * refusal never replaces new tokens. This precedence is needed because a process that is paused during its refresh may
 * store its new tokens late. In the meantime, WorkOS may have refused another process's request with the same refresh
 * token.
 *
 * @param isConclusive Whether a refusal means that the session has ended. True if this process held the lock and the
 * store contained no result from another process.
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
 * Decides whether a refusal means that the session has ended. Called if this process did not hold the lock, could not
 * read the store or could not store the refusal.
 *
 * WorkOS may have refused the refresh token because another process has used it, and a store outage may hide that
 * process's result. This function therefore reads the result again. If there is still no result, the user stays signed
 * in, and the request gets a 503 response because a retry may find the result. The session cookie is not cleared,
 * because the browser may already have a new cookie from the other process.
 *
 * If the session has really ended, requests must not get 503 responses until the store is available again: an outage
 * may last hours, and the user could not sign in during that time. A refusal is therefore accepted if the first refusal
 * of the same token was at least {@link DOUBTED_FOR} milliseconds ago.
 */
async function confirmRefusal(refusal: RefreshResult, context: RefreshContext): Promise<RefreshResult> {
  const { session, doubts } = context;
  for (const wait of [0, LONGEST_PAUSE]) {
    // The other process may still be storing its result, or a replica of the store may not have it yet.
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

/** Remembers refusals that could not be confirmed. */
interface Doubts {
  /**
   * Whether to accept a refusal. True if the first refusal of the same token was at least {@link DOUBTED_FOR} ago. If
   * there was no earlier refusal, the current one is remembered as the first.
   */
  areOver: (id: string) => boolean;
}

function createDoubts(now: () => number): Doubts {
  const firstRefusals = expiringMap<number>({ max: MAX_DOUBTS, ttl: DOUBT_REMEMBERED_FOR, now });
  return {
    areOver(id) {
      const first = firstRefusals.get(id);
      if (first === undefined) firstRefusals.set(id, now());
      // The difference is negative if the clock has been set back since the first refusal.
      return first !== undefined && Math.abs(now() - first) >= DOUBTED_FOR;
    },
  };
}

/** Returns the ID of the store entries for a session's refresh token. */
function idOf({ refreshToken }: Session): string {
  return sha256(refreshToken);
}
