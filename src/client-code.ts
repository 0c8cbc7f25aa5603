import type { Config } from './config/index.js';
import type { AuthKitError } from './errors.js';
import { open, seal } from './seal.js';
import type { Transaction } from './transaction.js';

/** RFC 6749 section 4.1.2 has a code be short-lived; a client redeems it at once. In milliseconds. */
export const CODE_LIFETIME = 60_000;

const PURPOSE = 'client-code';

/** What a client's code stands for: WorkOS's own, which is exchanged as the client's is redeemed. */
export interface ClientCode {
  readonly code: string;
  readonly transaction: Transaction;
}

/** What binds a code to one instance. */
type Instance = Pick<Config, 'clientId' | 'redirectUri' | 'cookiePasswords' | 'now'>;

/**
 * Where the browser takes a client's code, or the error in its place (RFC 6749 section 4.1.2).
 *
 * The code is a seal around WorkOS's code, not around tokens: WorkOS takes its code once whichever process redeems it,
 * and nothing that is worth stealing is in a URL.
 */
export async function clientUrl(
  reply: string | AuthKitError,
  transaction: Transaction,
  { clientId, redirectUri, cookiePasswords, now }: Instance,
): Promise<string> {
  const url = new URL(transaction.returnTo);
  if (typeof reply === 'string') {
    const payload = { purpose: PURPOSE, clientId, redirectUri, issuedAt: now(), code: reply, transaction };
    url.searchParams.set('code', await seal(payload, cookiePasswords[0]));
  } else {
    url.searchParams.set('error', reply.code);
  }
  if (typeof transaction.state === 'string') url.searchParams.set('state', transaction.state);
  return url.href;
}

/** Opens a code of this instance that is not too old; anything else is `undefined`. */
export function openClientCode(
  sealed: string,
  { clientId, redirectUri, cookiePasswords, now }: Instance,
): ClientCode | undefined {
  const payload = open(sealed, cookiePasswords, now()) as
    Readonly<Record<string, unknown>> | null | undefined;
  if (payload?.['purpose'] !== PURPOSE) return undefined;
  if (payload['clientId'] !== clientId || payload['redirectUri'] !== redirectUri) return undefined;
  const { issuedAt } = payload;
  if (typeof issuedAt !== 'number' || now() - issuedAt >= CODE_LIFETIME) return undefined;
  return payload as unknown as ClientCode;
}
