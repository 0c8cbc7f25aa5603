import { log } from '../log.js';

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
