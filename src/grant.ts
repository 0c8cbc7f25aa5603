import { createVerifier, decodeUnverified, type VerifyAccessToken } from './access-token.js';
import { createJWKS } from './keys.js';

export interface OAuthTokenRules {
  /** Whom a token may be meant for: one of these has to be in its `aud`. */
  audience: readonly string[];
  /** Addresses of OAuth servers, without a slash at the end: whose tokens count. */
  servers: readonly string[];
  fetchKeys: (server: string) => Promise<unknown>;
  now: () => number;
  softTimeout: number;
}

/**
 * Makes the judge of access tokens that an OAuth server granted (RFC 9068): by the keys of the server that a token
 * names as its issuer, if that is one of ours.
 */
export function createOAuthTokenVerifier({
  audience,
  servers,
  fetchKeys,
  now,
  softTimeout: softTimeout,
}: OAuthTokenRules): VerifyAccessToken {
  const verifiers = new Map(
    servers.map((server) => {
      const keys = createJWKS({ fetchKeys: () => fetchKeys(server), now, softTimeout: softTimeout });
      const issuers = [server, `${server}/`];
      return [server, createVerifier({ issuers, audience, clientId: '', now, keys })] as const;
    }),
  );
  return (token, isTrusted) => {
    const { iss } = decodeUnverified(token);
    const verify = typeof iss === 'string' ? verifiers.get(iss.replace(/\/$/, '')) : undefined;
    return verify ? verify(token, isTrusted) : { kind: 'invalid', reason: 'issuer' };
  };
}
