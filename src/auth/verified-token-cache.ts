import { expiringMap } from '../expiring-map.js';
import { sha256 } from '../sha256.js';
import type { TokenVerification, VerifyAccessToken } from '../workos/access-token.js';

interface RememberedToken {
  readonly verification: Extract<TokenVerification, { kind: 'valid' }>;
  /** Milliseconds since the epoch. */
  readonly since: number;
  readonly until: number;
  /** An estimate of the memory that it takes. */
  readonly bytes: number;
}

/** A token is verified again after this long, in milliseconds, so that a withdrawn key does not stay accepted. */
const VERIFIED_FOR = 600_000;

/** Of all remembered tokens, in bytes. */
const MAX_BYTES = 8 * 1_048_576;

/** What the claims of a token take as objects, per character of the token, and what each entry takes besides. */
const BYTES_PER_CHARACTER = 4;
const ENTRY_BYTES = 512;

/**
 * Remembers that a token is valid, because a client sends the same access token with every request, and verifying an
 * RSA signature takes longer than the rest of the guard.
 *
 * Only valid tokens are remembered, by their hash, until they expire or ten minutes have passed. Forged tokens push
 * none of them out. Whether the session of a token has been revoked is checked for every request, outside of this.
 */
export function rememberValidTokens(verify: VerifyAccessToken, now: () => number): VerifyAccessToken {
  const valid = expiringMap<RememberedToken>({ now, size: { max: MAX_BYTES, of: ({ bytes }) => bytes } });
  return async (token, isTrusted) => {
    const key = sha256(token);
    const remembered = valid.get(key);
    const time = now();
    // A clock that was set back must not make a result live longer.
    if (remembered && time >= remembered.since && time < remembered.until) return remembered.verification;
    const verification = await verify(token, isTrusted);
    if (verification.kind === 'valid') {
      const bytes = token.length * BYTES_PER_CHARACTER + ENTRY_BYTES;
      const since = now();
      const until = Math.min(since + VERIFIED_FOR, verification.claims.exp * 1000);
      valid.set(key, { verification, bytes, since, until });
    }
    return verification;
  };
}
