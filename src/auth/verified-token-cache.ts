import { expiringMap } from '../expiring-map.js';
import { sha256 } from '../sha256.js';
import type { TokenVerification, VerifyAccessToken } from '../workos/access-token.js';

interface RememberedToken {
  readonly verification: Extract<TokenVerification, { kind: 'valid' }>;
  /** Milliseconds since the epoch, like `until`. */
  readonly since: number;
  readonly until: number;
  /** The estimated memory use. */
  readonly bytes: number;
}

/** A token is verified again after this time, in milliseconds, so that a withdrawn key does not stay accepted. */
const VERIFIED_FOR = 600_000;

/** Maximum size of all cached tokens, in bytes. */
const MAX_BYTES = 8 * 1_048_576;

/** Estimated memory of a token's claims per character of the token, and the overhead of each entry. */
const BYTES_PER_CHARACTER = 4;
const ENTRY_BYTES = 512;

/** Verifies an access token. Returns a promise only if the token is not cached. */
export type VerifyTokenWithCache = (token: string) => TokenVerification | Promise<TokenVerification>;

/**
 * Caches valid tokens, because a client sends the same access token with every request, and verifying an RSA signature
 * takes longer than the rest of the guard.
 *
 * Only valid tokens are cached, by their hash, until they expire or ten minutes have passed, so forged tokens cannot
 * evict them. Whether the token's session has been revoked is not cached: the caller checks it on every request.
 */
export function rememberValidTokens(verify: VerifyAccessToken, now: () => number): VerifyTokenWithCache {
  const valid = expiringMap<RememberedToken>({ now, size: { max: MAX_BYTES, of: ({ bytes }) => bytes } });
  const verifyAndRemember = async (token: string, key: string) => {
    const verification = await verify(token);
    if (verification.kind === 'valid') {
      const bytes = token.length * BYTES_PER_CHARACTER + ENTRY_BYTES;
      const since = now();
      const until = Math.min(since + VERIFIED_FOR, verification.claims.exp * 1000);
      valid.set(key, { verification, bytes, since, until });
    }
    return verification;
  };
  return (token) => {
    const key = sha256(token);
    const remembered = valid.get(key);
    const time = now();
    // If the clock is set back, a result must not stay valid for longer.
    if (remembered && time >= remembered.since && time < remembered.until) return remembered.verification;
    return verifyAndRemember(token, key);
  };
}
