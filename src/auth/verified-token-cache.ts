import { expiringMap } from '../expiring-map.js';
import type { TokenClaims, TokenVerification, VerifyAccessToken } from '../workos/access-token.js';

interface RememberedToken {
  readonly token: string;
  readonly verification: Extract<TokenVerification<TokenClaims>, { kind: 'valid' }>;
  /** When the token was verified, in milliseconds since the epoch. */
  readonly since: number;
  /** When the token must be verified again, in milliseconds since the epoch. */
  readonly until: number;
  /** The estimated memory use of the entry, in bytes. */
  readonly bytes: number;
}

/**
 * How long a verified token is cached, in milliseconds. After this time, the token is verified again, because its
 * signing key may have been withdrawn.
 */
const VERIFIED_FOR = 600_000;

/** The maximum total size of all cache entries, in bytes. */
const MAX_BYTES = 8 * 1_048_576;

/** The estimated memory that a token and its claims use, in bytes per character of the token. */
const BYTES_PER_CHARACTER = 5;

/**
 * Entries are keyed by this many characters from the end of a token. These characters are part of the signature, and
 * reading them is faster than computing a hash.
 */
const KEY_LENGTH = 48;

/** The estimated memory that each cache entry uses in addition to the token and its claims, in bytes. */
const ENTRY_BYTES = 512;

/** Verifies an access token. Returns a promise only if the token is not cached. */
export type VerifyTokenWithCache = (
  token: string,
) => TokenVerification<TokenClaims> | Promise<TokenVerification<TokenClaims>>;

/**
 * Adds a cache of valid tokens to a verifier. A client sends the same access token with every request, and verifying an
 * RSA signature takes longer than everything else that the guard does.
 *
 * A token is cached until it expires, but for at most ten minutes. Only valid tokens are cached, so forged tokens cannot
 * evict valid ones. The cache does not record whether a token's session has been revoked: the caller checks this on
 * every request.
 */
export function rememberValidTokens(
  verify: VerifyAccessToken<TokenClaims>,
  now: () => number,
): VerifyTokenWithCache {
  const valid = expiringMap<RememberedToken>({ now, size: { max: MAX_BYTES, of: ({ bytes }) => bytes } });
  const verifyAndRemember = async (token: string) => {
    const verification = await verify(token);
    if (verification.kind === 'valid') {
      const bytes = token.length * BYTES_PER_CHARACTER + ENTRY_BYTES;
      const since = now();
      const until = Math.min(since + VERIFIED_FOR, verification.claims.exp * 1000);
      valid.set(token.slice(-KEY_LENGTH), { token, verification, bytes, since, until });
    }
    return verification;
  };
  return (token) => {
    const remembered = valid.get(token.slice(-KEY_LENGTH));
    // A forged token may end with the same characters as a valid one.
    if (remembered?.token !== token) return verifyAndRemember(token);
    const time = now();
    // If the system clock is set back, the cached result must not stay valid for longer.
    return time >= remembered.since && time < remembered.until
      ? remembered.verification
      : verifyAndRemember(token);
  };
}
