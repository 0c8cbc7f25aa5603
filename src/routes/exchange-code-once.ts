import type { Config } from '../config/index.js';
import { expiringMap } from '../expiring-map.js';
import { CLOCK_SKEW } from '../session/purpose-bound-seal.js';
import { sha256 } from '../sha256.js';
import type { CodeExchangeRequest } from './code-exchange.js';
import { isSame } from './sign-in-transaction.js';

/**
 * How long the result of an exchange is shared with repeated callbacks, in milliseconds. A callback is repeated after a
 * double click or a reload, for example.
 */
const SHARED = 10_000;

const MAX_STATES = 10_000;

/**
 * The default memory limit for shared results, in bytes. 8 MiB is enough for about 2000 sign-ins within ten seconds.
 */
const MAX_RESULT_BYTES = 8_388_608;

/** The estimated size of a result without its strings, in bytes. */
const EMPTY_RESULT_BYTES = 256;

/** The result of a completed sign-in: the value of the session cookie, and the page to redirect the browser to. */
export interface Completed {
  readonly sealed: string;
  readonly returnTo: string;
}

export interface CallbackExchangeRequest extends CodeExchangeRequest {
  state: string;
  /** The secret from the transaction cookie. */
  secret: string;
}

/** Exchanges authorization codes, at most one for each `state`. */
export interface ExchangeOnce {
  /**
   * Exchanges the code of a callback. Callbacks with the same state, secret and code share one exchange while it is in
   * progress, and share its result for ten seconds afterwards. Every other callback with a state that has been used
   * gets `spent`. A different code is never exchanged, because an attacker could have injected it (RFC 9700 section
   * 4.5).
   *
   * @returns The completed sign-in, `spent`, or `answered` if `onSuccess` sent the response to this request.
   * @throws {AuthKitError} if the exchange fails, or if `onSuccess` rejects the sign-in.
   */
  exchange: (request: CallbackExchangeRequest) => Promise<Completed | 'spent' | 'answered'>;
  /**
   * Marks a state as spent without exchanging a code, for example, because WorkOS responded with an error or because a
   * native client will redeem the code.
   *
   * @param answer The response from WorkOS: the callback's query.
   * @returns Whether the callback may be handled: true for the first callback with this state, and for a repeat with
   * the same secret and the same response within ten seconds. Otherwise, false.
   */
  spend: (callback: Pick<CallbackExchangeRequest, 'state' | 'secret'> & { answer: string }) => boolean;
  /** Returns whether this process has handled a callback with this state. */
  isSpent: (state: string) => boolean;
}

interface Exchange {
  /** The hash of the transaction secret and the code. */
  readonly proof: string;
  /** A promise for the result while the exchange is in progress, otherwise `undefined`. */
  pending: Promise<Completed | 'answered'> | undefined;
}

/** Options of {@link createExchangeOnce}. */
export interface ExchangeOnceOptions extends Pick<Config, 'now' | 'signInLifetime'> {
  /** The memory limit for shared results, in bytes. */
  maxBytes?: number;
}

interface SpentState {
  /** The hash of the transaction secret and the response from WorkOS. */
  readonly proof: string;
  /** The time until which the same response may be repeated, in milliseconds since the epoch. */
  readonly repeatedUntil: number;
}

/**
 * Creates an {@link ExchangeOnce}, which remembers states in the memory of this process.
 *
 * @param complete Exchanges the code at WorkOS and completes the sign-in.
 */
export function createExchangeOnce(
  { now, signInLifetime, maxBytes = MAX_RESULT_BYTES }: ExchangeOnceOptions,
  complete: (request: CallbackExchangeRequest) => Promise<Completed | 'answered'>,
): ExchangeOnce {
  const ttl = signInLifetime * 1000 + CLOCK_SKEW;
  // An exchange must be remembered for as long as its state is valid. The result of the exchange is needed only for a
  // short time, so results have a separate map.
  const exchanges = expiringMap<Exchange>({ max: MAX_STATES, ttl, now });
  // States that were spent without an exchange have a separate map. An attacker can cause any number of error
  // responses, and these must not evict exchanges.
  const spent = expiringMap<SpentState>({ max: MAX_STATES, ttl, now });
  const results = expiringMap<Completed>({
    ttl: SHARED,
    now,
    size: {
      max: maxBytes,
      of: ({ sealed, returnTo }) => EMPTY_RESULT_BYTES + sealed.length + returnTo.length * 2,
    },
  });
  const run = async (key: string, exchange: Exchange, request: CallbackExchangeRequest) => {
    try {
      exchange.pending = complete(request);
      const outcome = await exchange.pending;
      results.purgeStale();
      if (outcome !== 'answered') results.set(key, outcome);
      return outcome;
    } finally {
      exchange.pending = undefined;
    }
  };
  return {
    async exchange(request) {
      const key = sha256(request.state);
      if (spent.has(key)) return 'spent';
      const proof = sha256(`${request.secret} ${request.code}`);
      const known = exchanges.get(key);
      if (known) {
        if (!isSame(proof, known.proof)) return 'spent';
        const outcome = await (known.pending ?? results.get(key));
        // `answered` means that `onSuccess` responded to the first request. This request still needs a response.
        return outcome === undefined || outcome === 'answered' ? 'spent' : outcome;
      }
      const exchange: Exchange = { proof, pending: undefined };
      exchanges.set(key, exchange);
      return run(key, exchange, request);
    },
    spend({ state, secret, answer }) {
      const key = sha256(state);
      if (exchanges.has(key)) return false;
      const proof = sha256(`${secret} ${answer}`);
      const known = spent.get(key);
      if (known) return isSame(proof, known.proof) && now() < known.repeatedUntil;
      spent.set(key, { proof, repeatedUntil: now() + SHARED });
      return true;
    },
    isSpent: (state) => exchanges.has(sha256(state)) || spent.has(sha256(state)),
  };
}
