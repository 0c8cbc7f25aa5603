import type { Config } from '../config/index.js';
import type { OnSuccessResult } from '../config/options.js';
import { AuthKitError } from '../errors.js';
import type { Response } from '../http/middleware.js';
import { safeReturnTo } from '../http/return-to.js';
import { returnRules, type Transaction } from './transaction.js';

/** What the application made of a sign-in: where to go, and what to keep. */
export interface OnSuccessOutcome {
  readonly returnTo: string;
  readonly data: unknown;
}

/**
 * The application's word on a sign-in. A throw is a veto.
 *
 * @param ask Calls `onSuccess`, if there is one.
 * @returns `answered` if it answered the request itself: then nobody is signed in.
 * @throws {AuthKitError} `sign_in_rejected`
 */
export async function runOnSuccess(
  ask: () => unknown,
  res: Response,
  { returnTo, callback }: Pick<Transaction, 'returnTo' | 'callback'>,
  config: Config,
): Promise<OnSuccessOutcome | 'answered'> {
  let decision;
  try {
    decision = (await ask()) as OnSuccessResult | undefined;
  } catch (cause) {
    throw new AuthKitError('sign_in_rejected', 'onSuccess did not accept this sign-in', { cause });
  }
  if (res.headersSent || res.writableEnded) return 'answered';
  const wanted = safeReturnTo(decision?.returnTo ?? returnTo, returnRules(config, callback));
  return { returnTo: wanted ?? config.returnTo, data: plain(decision?.data) };
}

function plain(data: unknown): unknown {
  try {
    return data === undefined ? undefined : (JSON.parse(JSON.stringify(data)) as unknown);
  } catch (cause) {
    throw new AuthKitError('sign_in_rejected', 'onSuccess returned data that is no JSON', { cause });
  }
}
