import { createVerifier, peek, type VerifyAccessToken } from './access-token.js';
import { createKeys } from './keys.js';

export interface GrantRules {
  /** Whom a token may be meant for: one of these has to be in its `aud`. */
  audience: readonly string[];
  /** Addresses of OAuth servers, without a slash at the end: whose tokens count. */
  servers: readonly string[];
  fetchKeys: (server: string) => Promise<unknown>;
  now: () => number;
  patience: number;
}

/**
 * Makes the judge of access tokens that an OAuth server granted (RFC 9068): by the keys of the server that a token
 * names as its issuer, if that is one of ours.
 */
export function createGrantVerifier({
  audience,
  servers,
  fetchKeys,
  now,
  patience,
}: GrantRules): VerifyAccessToken {
  const verifiers = new Map(
    servers.map((server) => {
      const keys = createKeys({ fetchKeys: () => fetchKeys(server), now, patience });
      const issuers = [server, `${server}/`];
      return [server, createVerifier({ issuers, audience, clientId: '', now, keys })] as const;
    }),
  );
  return (token, isTrusted) => {
    const { iss } = peek(token);
    const verify = typeof iss === 'string' ? verifiers.get(iss.replace(/\/$/, '')) : undefined;
    return verify ? verify(token, isTrusted) : { kind: 'invalid', reason: 'issuer' };
  };
}
