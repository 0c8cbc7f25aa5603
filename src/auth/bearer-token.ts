import { after } from '../deadline.js';
import { type AuthKitError, unavailable } from '../errors.js';
import type { Request } from '../http/middleware.js';
import { header } from '../http/request.js';
import {
  createOAuthTokenVerifier,
  type TokenClaims,
  type TokenVerification,
  type VerifyAccessToken,
} from '../workos/access-token.js';
import type { ApiResult, WorkOSClient } from '../workos/client.js';
import { type AuthType, type Principal, toApiKeyAuth, toBearerAuth, toMachineAuth } from './principal.js';
import { createWorkOSLookups, type WorkOSLookups } from './workos-lookups.js';

/** RFC 6750 section 2.1, the scheme in any case (RFC 9110 section 11.1), and no longer than a token can be. */
const BEARER = /^bearer(?: +([\w.~+/-]+=*) *)?$/i;

const MAX_LENGTH = 16_384;

/** What a token comes to. Unknown says nothing about it: WorkOS could not be asked. */
export type BearerResult =
  | { readonly kind: 'ok'; readonly caller: Principal }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'unavailable'; readonly error: AuthKitError };

export type VerifyBearer = (
  token: string,
  accepts: ReadonlySet<AuthType>,
) => BearerResult | Promise<BearerResult>;

/**
 * The bearer token that a request brought: empty if it is malformed, `undefined` without one. Other schemes, such as
 * the `Basic` of a proxy in front of a test site, say nothing about the caller.
 */
export function bearerTokenOf(req: Request): string | undefined {
  const authorization = header(req, 'authorization');
  if (authorization === undefined || !/^bearer(?: |$)/i.test(authorization)) return undefined;
  return authorization.length > MAX_LENGTH ? '' : (BEARER.exec(authorization)?.[1] ?? '');
}

/** The verifiers of an instance. */
export interface BearerVerifiers {
  /** Of access tokens of sessions, and API keys. */
  forSessions: VerifyBearer;
  /** Of access tokens that an OAuth server at one of these addresses issued for this audience, and API keys. */
  forResource: (audience: readonly string[], authorizationServers: readonly string[]) => VerifyBearer;
}

export interface BearerVerifiersDependencies {
  verify: VerifyAccessToken;
  workos: WorkOSClient;
  /** False for a token of a session that was ended. */
  isLive: (claims: TokenClaims) => boolean | Promise<boolean>;
  now: () => number;
  softTimeout: number;
}

export function createBearerVerifiers({
  verify,
  workos,
  isLive,
  now,
  softTimeout: softTimeout,
}: BearerVerifiersDependencies): BearerVerifiers {
  const { users, apiKeys } = createWorkOSLookups({ call: workos.call, now, softTimeout: softTimeout });
  return {
    forSessions: createVerifyBearer({ verify, users, apiKeys, isLive }),
    forResource: (audience, servers) => {
      const fetchKeys = workos.fetchIssuerKeys;
      const ofGrants = createOAuthTokenVerifier({
        audience,
        servers,
        fetchKeys,
        now,
        softTimeout: softTimeout,
      });
      return createVerifyBearer({ verify: ofGrants, users, apiKeys, isLive });
    },
  };
}

interface VerifyBearerDependencies extends WorkOSLookups {
  verify: VerifyAccessToken;
  isLive: (claims: TokenClaims) => boolean | Promise<boolean>;
}

/** Makes the judge of bearer tokens: an access token is a JWT and has dots, an API key of WorkOS's has none. */
function createVerifyBearer(parts: VerifyBearerDependencies): VerifyBearer {
  return (token, accepts) => {
    if (token === '') return refused('malformed');
    if (!token.includes('.')) {
      return accepts.has('apiKey') ? verifyApiKey(token, parts) : refused('not an access token');
    }
    if (!accepts.has('bearer') && !accepts.has('machine')) return refused('no access token is accepted here');
    const verification = parts.verify(token);
    return verification instanceof Promise
      ? verification.then((found) => toBearerResult(token, found, accepts, parts))
      : toBearerResult(token, verification, accepts, parts);
  };
}

function toBearerResult(
  token: string,
  verification: TokenVerification,
  accepts: ReadonlySet<AuthType>,
  { users, isLive }: VerifyBearerDependencies,
): BearerResult | Promise<BearerResult> {
  if (verification.kind === 'unavailable')
    return { kind: 'unavailable', error: unavailable('the keys could not be had') };
  if (verification.kind !== 'valid')
    return refused(verification.kind === 'expired' ? 'expired' : verification.reason);
  const claims: TokenClaims = verification.claims;
  const type = isMachine(claims) ? 'machine' : 'bearer';
  if (!accepts.has(type)) return refused(`no ${type} token is accepted here`);
  return after(isLive(claims), (live) => {
    if (!live) return refused('signed out');
    if (type === 'machine') return accepted(toMachineAuth(claims, token));
    return settle(users(claims.sub), (user) => toBearerAuth(user, claims, token));
  });
}

/** Of the client credentials grant: WorkOS names the application itself as the subject. */
function isMachine({ sub }: TokenClaims): boolean {
  return sub.startsWith('client_');
}

function verifyApiKey(
  key: string,
  { apiKeys }: VerifyBearerDependencies,
): BearerResult | Promise<BearerResult> {
  return settle(apiKeys(key), toApiKeyAuth);
}

function settle<T>(
  answer: ApiResult<T> | Promise<ApiResult<T>>,
  build: (value: T) => Principal,
): BearerResult | Promise<BearerResult> {
  if (answer instanceof Promise) return answer.then((value) => settle(value, build));
  if (answer.kind === 'ok') return accepted(build(answer.value));
  return answer.kind === 'refused'
    ? refused('unknown to WorkOS')
    : { kind: 'unavailable', error: answer.error };
}

function accepted(caller: Principal): BearerResult {
  return { kind: 'ok', caller };
}

function refused(reason: string): BearerResult {
  return { kind: 'refused', reason };
}
