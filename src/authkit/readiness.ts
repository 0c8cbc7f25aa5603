import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { withDeadline } from '../deadline.js';
import type { SignedStore } from '../stores/signed-store.js';
import type { JWKS } from '../workos/jwks.js';
import type { CircuitState } from '../workos/rate-limit-and-circuit-breaker.js';
import { CLOCK_TOLERANCE, type WorkOSClock } from '../workos/clock-difference.js';

/** The result of one check. */
export interface ReadinessCheck {
  readonly ok: boolean;
  /** If the check failed, the problem and how to fix it. */
  readonly problem?: string;
}

/**
 * The result of `auth.ready()`, which says whether this process can serve signed-in users. It contains no secrets and
 * can be sent as JSON.
 */
export interface Readiness {
  /** Whether all checks have passed. */
  readonly ready: boolean;
  readonly checks: {
    /**
     * Whether the signing keys are loaded. `age` is the time since they were fetched, in milliseconds. While WorkOS is
     * unavailable, loaded keys are used for up to a day.
     */
    readonly keys: ReadinessCheck & { readonly age?: number };
    /** Whether the store returns data that was written to it. Without a store, this check always passes. */
    readonly store: ReadinessCheck;
    /**
     * Whether this server's clock agrees with the clock of WorkOS. `offset` is how far this server's clock is ahead, in
     * milliseconds. It is negative if this server's clock is behind, and missing if the difference is not known.
     */
    readonly clock: ReadinessCheck & { readonly offset?: number };
  };
  /**
   * The state of the circuit breaker, which does not affect `ready`. `open` means that the package currently does not
   * call WorkOS, because recent calls failed or WorkOS asked this app to slow down.
   */
  readonly workos: { readonly circuit: CircuitState };
}

export interface ReadinessDependencies {
  keys: JWKS;
  store: SignedStore | undefined;
  clock: WorkOSClock;
  circuit: () => CircuitState;
  softTimeout: number;
}

/**
 * The fraction of the soft timeout that a check may take. It leaves enough time to respond to a probe that waits for
 * one second.
 */
const PART = 0.75;

/** The lifetime of the entry that the store check writes, in milliseconds. */
const ENTRY_FOR = 60_000;

/**
 * The pause before a missing entry is read again, in milliseconds. A replica of the store may not have received the
 * entry yet.
 */
const REPLICATION_PAUSE = 50;

/** Creates `auth.ready()`, which resolves within a second and never rejects. */
export function createReady(dependencies: ReadinessDependencies): () => Promise<Readiness> {
  const { keys, store, clock, circuit, softTimeout } = dependencies;
  const checkStore = createStoreCheck(store, softTimeout * PART);
  return async () => {
    const [storeCheck] = await Promise.all([
      checkStore(),
      withDeadline(softTimeout * PART, keys.load(clock.hasJumped())),
    ]);
    const checks = { keys: checkKeys(keys), store: storeCheck, clock: checkClock(clock) };
    const ready = checks.keys.ok && checks.store.ok && checks.clock.ok;
    return { ready, checks, workos: { circuit: circuit() } };
  };
}

function checkKeys(keys: JWKS): Readiness['checks']['keys'] {
  const age = keys.age();
  if (age !== undefined) return { ok: true, age };
  return {
    ok: false,
    problem: 'the signing keys of WorkOS have not been loaded: check the network and WORKOS_CLIENT_ID',
  };
}

function checkClock(clock: WorkOSClock): Readiness['checks']['clock'] {
  const offset = clock.offset();
  if (offset === undefined) return { ok: true };
  if (Math.abs(offset) <= CLOCK_TOLERANCE * 1000) return { ok: true, offset };
  const seconds = Math.round(Math.abs(offset) / 1000);
  const side = offset > 0 ? 'ahead of' : 'behind';
  return {
    ok: false,
    offset,
    problem: `the clock of this server is ${seconds} s ${side} that of WorkOS: set it, e.g. with NTP`,
  };
}

/** Creates the store check, which writes an entry for this process and reads it back. */
function createStoreCheck(store: SignedStore | undefined, timeout: number) {
  const id = randomUUID();
  const check = async (signed: SignedStore): Promise<ReadinessCheck> => {
    const text = randomUUID();
    if ((await signed.put('ready', id, text, ENTRY_FOR)) !== 'ok')
      return { ok: false, problem: 'the store does not take writes: see the event authkit:store' };
    let found = await signed.get('ready', id);
    if (found.kind === 'miss') {
      await pause(REPLICATION_PAUSE);
      found = await signed.get('ready', id);
    }
    if (found.kind === 'unavailable')
      return { ok: false, problem: 'the store does not answer reads: see the event authkit:store' };
    if (found.kind === 'hit' && found.text === text) return { ok: true };
    return {
      ok: false,
      problem: 'the store does not return what was written: the client has to read from the primary',
    };
  };
  return async (): Promise<ReadinessCheck> => {
    if (!store) return { ok: true };
    const result = await withDeadline(timeout, check(store));
    return result ?? { ok: false, problem: 'the store is slow: see the event authkit:store' };
  };
}
