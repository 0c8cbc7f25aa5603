import { LRUCache } from 'lru-cache';
import { createHash } from 'node:crypto';
import type { Request, Response } from './http.js';
import { TRANSACTION_LIFETIME, type Transaction } from './transaction.js';

/** A double click or a reload of the callback gets the same answer for this long, in milliseconds. */
const SHARED = 10_000;
const MAX_STATES = 10_000;

/** A session as its cookie has it, and where to go. */
export interface Completed {
  readonly sealed: string;
  readonly returnTo: string;
}

export interface SignInReply {
  state: string;
  code: string;
  transaction: Transaction;
  req: Request;
  res: Response;
}

/**
 * Turns a code into a session, once for a state: two callbacks at once share one exchange, later ones find it `spent`.
 *
 * @returns `answered` if `onSuccess` answered the request itself: then nobody is signed in.
 * @throws {AuthKitError}
 */
export type ExchangeOnce = (reply: SignInReply) => Promise<Completed | 'spent' | 'answered'>;

interface Exchange {
  readonly outcome: Promise<Completed | 'answered'>;
  /** Milliseconds since the epoch; shared while it is under way and shortly after it succeeded. */
  sharedUntil: number;
}

/** @param complete Exchanges the code at WorkOS. */
export function oncePerState(
  now: () => number,
  complete: (reply: SignInReply) => Promise<Completed | 'answered'>,
): ExchangeOnce {
  const exchanges = new LRUCache<string, Exchange>({
    max: MAX_STATES,
    ttl: TRANSACTION_LIFETIME,
    ttlResolution: 0,
    perf: { now },
  });
  return async (reply) => {
    const key = createHash('sha256').update(reply.state).digest('base64url');
    const known = exchanges.get(key);
    if (known) return now() < known.sharedUntil ? known.outcome : 'spent';
    const exchange: Exchange = { outcome: complete(reply), sharedUntil: Infinity };
    exchanges.set(key, exchange);
    void exchange.outcome.then(
      () => (exchange.sharedUntil = now() + SHARED),
      () => (exchange.sharedUntil = 0),
    );
    return exchange.outcome;
  };
}
