import type { Config } from '../config/index.js';
import type { OnSuccessResult } from '../config/authkit-options.js';
import { AuthKitError } from '../errors.js';
import { publishError } from '../diagnostics.js';
import type { Response } from '../http/handler-to-middleware.js';
import { safeReturnTo } from '../http/return-to.js';
import { ownProperties } from '../plain-objects.js';
import { returnRules, type Transaction } from './sign-in-transaction.js';

/** The outcome of `onSuccess`: the page to redirect to, and the data to store in the session. */
export interface OnSuccessOutcome {
  readonly returnTo: string;
  readonly data: unknown;
}

/**
 * Runs `onSuccess`, which can reject a sign-in by throwing an `AuthKitError` or by returning `{ reject: reason }`. Any
 * other error is a bug in the application, not a rejection, so it is passed on to the application's error handler.
 *
 * @param call Calls `onSuccess`, if there is one.
 * @returns The outcome, or `answered` if `onSuccess` has begun a response. In the latter case, no session is created.
 * @throws {AuthKitError} The error that `onSuccess` threw, or `sign_in_rejected` if it returned `reject`.
 * @throws {TypeError} if `onSuccess` returned a boolean, a string, an object with a misnamed key such as `redirectTo`,
 * or `data` that cannot be written as JSON.
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
  const result = resultOf(returned, config);
  rejectIfAsked(result.reject);
  const wanted = safeReturnTo(result.returnTo ?? returnTo, returnRules(config, callback));
  return { returnTo: wanted ?? config.returnTo, data: plain(result.data, config) };
}

/** Names that other packages use for the fields of {@link OnSuccessResult}. */
const OTHER_NAMES: Readonly<Record<string, keyof OnSuccessResult>> = {
  redirect: 'returnTo',
  redirectTo: 'returnTo',
  redirectUrl: 'returnTo',
  returnUrl: 'returnTo',
  returnPathname: 'returnTo',
  rejected: 'reject',
  deny: 'reject',
};

/**
 * Reads the value that `onSuccess` returned. An unrelated object, such as a database row that the application has just
 * saved, is ignored. A boolean, a string or an object with a misnamed key is an error, because the application may have
 * meant to reject the sign-in or to set `returnTo`.
 *
 * @throws {TypeError} if `returned` is a boolean, a string, or an object with a misnamed key.
 */
function resultOf(returned: unknown, { clientId }: Config): OnSuccessResult {
  const problem = problemOf(returned);
  if (problem === undefined) return ownProperties(Object(returned ?? {}) as OnSuccessResult);
  const error = new TypeError(
    `onSuccess returned ${problem}: return { reject: 'reason' } to refuse the sign-in, { returnTo }, { data }, or nothing`,
  );
  publishError({ clientId, source: 'onSuccess', error }, error.message);
  throw error;
}

function problemOf(returned: unknown): string | undefined {
  if (typeof returned === 'boolean') return String(returned);
  if (typeof returned === 'string') return 'a text';
  const misnamed = Object.keys(OTHER_NAMES).find((name) =>
    Object.hasOwn(Object(returned ?? {}) as object, name),
  );
  return misnamed === undefined
    ? undefined
    : `an object with "${misnamed}", which is called ${OTHER_NAMES[misnamed] ?? ''} here`;
}

/** Rejects the sign-in unless `reason` is `undefined`, `null` or `false`. An empty string rejects the sign-in too. */
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
    publishError({ clientId, source: 'onSuccess', error }, error.message);
    throw error;
  }
}
