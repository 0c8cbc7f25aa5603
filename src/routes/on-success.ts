import type { Config } from '../config/index.js';
import type { OnSuccessResult } from '../config/options.js';
import { ownProperties } from '../config/problem-list.js';
import { AuthKitError } from '../errors.js';
import { publishError } from '../events.js';
import type { Response } from '../http/middleware.js';
import { safeReturnTo } from '../http/return-to.js';
import { returnRules, type Transaction } from './sign-in-transaction.js';

/** What `onSuccess` decided: where to go, and what to keep in the session. */
export interface OnSuccessOutcome {
  readonly returnTo: string;
  readonly data: unknown;
}

/**
 * Runs `onSuccess`. It rejects a sign-in with an `AuthKitError` or with `{ reject: reason }`. Any other error is a fault
 * of the application and not a verdict on the account, so it goes to the error handler of Express.
 *
 * @param call Calls `onSuccess`, if there is one.
 * @returns `answered` if `onSuccess` has begun a response itself. No session is created then.
 * @throws {AuthKitError} The one that `onSuccess` threw, or `sign_in_rejected`.
 */
export async function runOnSuccess(
  call: () => unknown,
  res: Response,
  { returnTo, callback }: Pick<Transaction, 'returnTo' | 'callback'>,
  config: Config,
): Promise<OnSuccessOutcome | 'answered'> {
  let returned;
  try {
    returned = (await call()) as OnSuccessResult | null | undefined;
  } catch (error) {
    if (!(error instanceof AuthKitError)) {
      publishError({ clientId: config.clientId, source: 'onSuccess', error });
      throw error;
    }
    if (res.headersSent) return 'answered';
    throw error;
  }
  if (res.headersSent || res.writableEnded) return 'answered';
  const result = ownProperties(returned ?? {});
  rejectIfAsked(result.reject);
  const wanted = safeReturnTo(result.returnTo ?? returnTo, returnRules(config, callback));
  return { returnTo: wanted ?? config.returnTo, data: plain(result.data, config) };
}

/** An empty reason rejects as well: only `undefined`, `null` and `false` do not. */
function rejectIfAsked(reason: unknown): void {
  if (reason === undefined || reason === null || reason === false) return;
  const text = typeof reason === 'string' && reason !== '' ? reason : 'onSuccess rejected this sign-in';
  throw new AuthKitError('sign_in_rejected', text);
}

function plain(data: unknown, { clientId }: Config): unknown {
  try {
    return data === undefined ? undefined : (JSON.parse(JSON.stringify(data)) as unknown);
  } catch (cause) {
    const error = new TypeError('onSuccess returned data that cannot be written as JSON', { cause });
    publishError({ clientId, source: 'onSuccess', error });
    throw error;
  }
}
