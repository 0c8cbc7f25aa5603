import type { AuthKitConfig } from '../config/index.js';
import { softTimeoutOf } from '../config/index.js';
import { isLoopback } from '../config/insecure-http.js';
import { log } from '../diagnostics.js';
import { createAnonymousBudget } from './limit-anonymous-calls.js';
import { createFetch, UpstreamError } from './fetch.js';
import { createLimiter } from './rate-limit-and-circuit-breaker.js';

/**
 * Gets a nonce for a sign-in to a WorkOS environment that has no owner yet, such as one that `npx workos` has created.
 * If the sign-in URL contains the nonce, AuthKit's sign-in page lets the developer claim the environment. If no nonce
 * is available, resolves to `undefined` and does not reject, so the sign-in continues without a nonce.
 *
 * @param redirectUri The redirect URI of the sign-in. Only a sign-in whose redirect URI is on this machine gets a
 * nonce, because anyone can begin a sign-in on a public site.
 */
export type ClaimNonce = (redirectUri: string) => Promise<string | undefined>;

/** How long sign-ins start without a nonce after a failure, in milliseconds. */
const PAUSE = 60_000;

/** Matches a nonce. Only printable ASCII is accepted, because the nonce becomes part of a URL. */
const NONCE = /^[\u0021-\u007e]{1,512}$/;

export function createClaimNonce(config: AuthKitConfig): ClaimNonce {
  const { clientId, claimToken, api, now } = config;
  if (claimToken === undefined) return () => Promise.resolve(undefined);
  // This call has a separate limiter, because error responses to it must not delay any other call.
  const limiter = createLimiter({ clientId, scope: 'anonymous', now });
  const timeout = softTimeoutOf(config);
  const post = createFetch({ timeout, limiter, priority: 'sign-in', fetch: config.fetch });
  const request = {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ client_id: clientId, claim_token: claimToken }),
  };
  // The number of calls is limited, because anyone can begin a sign-in.
  const budget = createAnonymousBudget({ now, softTimeout: timeout });
  let pausedUntil = -Infinity;
  return async (redirectUri) => {
    if (now() < pausedUntil || !isLoopback(new URL(redirectUri).hostname)) return undefined;
    try {
      const url = `${api.origin}/x/one-shot-environments/claim-nonces`;
      const called = await budget.run(
        () => post(url, request),
        () => false,
      );
      if (called.kind === 'exhausted') return undefined;
      const response = called.value;
      const { nonce } = (await response.json()) as { nonce?: unknown };
      return typeof nonce === 'string' && NONCE.test(nonce) ? nonce : undefined;
    } catch (error) {
      const status = UpstreamError.from(error)?.status;
      // 409 means that the environment has been claimed, so the token is no longer needed.
      pausedUntil = status === 409 ? Infinity : now() + PAUSE;
      if (status === 409) log('login', { claim: 'claimed' });
      else warn(status);
      return undefined;
    }
  };
}

function warn(status: number | undefined): void {
  const problem =
    status === undefined
      ? 'WorkOS did not answer when WORKOS_CLAIM_TOKEN was exchanged'
      : `WorkOS answered ${status} to WORKOS_CLAIM_TOKEN`;
  process.emitWarning(
    `${problem}: sign-ins work without it. Remove the variable if the environment has an owner`,
    {
      code: 'AUTHKIT_CLAIM_TOKEN',
    },
  );
}
