import { after } from '../deadline.js';
import { type AuthKitError, unavailable } from '../errors.js';
import type { Request } from '../http/handler-to-middleware.js';
import { header } from '../http/request.js';
import {
  createOAuthTokenVerifier,
  type TokenClaims,
  type TokenVerification,
  type VerifyAccessToken,
} from '../workos/access-token.js';
import type { ApiResult, WorkOSClient } from '../workos/api-client.js';
import { type AuthType, type Principal, toApiKeyAuth, toBearerAuth, toMachineAuth } from './principal.js';
import { rememberValidTokens, type VerifyTokenWithCache } from './verified-token-cache.js';
import { createWorkOSLookups, type WorkOSLookups } from './workos-lookups.js';

/**
 * An `Authorization` header with a bearer token (RFC 6750 section 2.1). The scheme is not case-sensitive (RFC 9110
 * section 11.1).
 */
const BEARER = /^bearer(?: +([\w.~+/-]+=*) *)?$/i;

/**
 * The longest `Authorization` header that is accepted, in characters. By default, Node does not accept more than this
 * for all headers together.
 */
const MAX_LENGTH = 16_384;

/** The format of a WorkOS API key. Other values are refused without a call to WorkOS. */
const API_KEY = /^sk_[\w-]{6,253}$/;

/**
 * The result of verifying a bearer token. `unavailable` means that the token could not be verified: it may be valid.
 */
export type BearerResult =
  | { readonly kind: 'ok'; readonly principal: Principal }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'unavailable'; readonly error: AuthKitError };

/**
 * Authenticates a bearer token as one of the types that a guard accepts. Returns a promise only if the result is not
 * known immediately. The promise never rejects.
 */
export type VerifyBearer = (
  token: string,
  accepts: ReadonlySet<AuthType>,
) => BearerResult | Promise<BearerResult>;

/**
 * Reads the bearer token from the `Authorization` header. Other schemes are ignored: `Basic`, for example, may be meant
 * for a proxy in front of the app.
 *
 * @returns `undefined` if there is no bearer token, or an empty string if it is malformed.
 */
export function bearerTokenOf(req: Request): string | undefined {
  const authorization = header(req, 'authorization');
  if (authorization === undefined) return undefined;
  const match = authorization.length > MAX_LENGTH ? null : BEARER.exec(authorization);
  if (match) return match[1] ?? '';
  return /^bearer(?: |$)/i.test(authorization) ? '' : undefined;
}

/** The bearer token verifiers of an instance. */
export interface BearerVerifiers {
  /** Verifies API keys and the access tokens of sessions. */
  forSessions: VerifyBearer;
  /**
   * Creates a verifier for API keys, and for access tokens that one of the given OAuth servers issued for the given
   * audience.
   */
  forResource: (audience: readonly string[], authorizationServers: readonly string[]) => VerifyBearer;
}

export interface BearerVerifiersDependencies {
  clientId: string;
  verify: VerifyAccessToken;
  workos: WorkOSClient;
  /** Returns false if the token's session has ended. */
  isLive: (claims: TokenClaims) => boolean | Promise<boolean>;
  now: () => number;
  softTimeout: number;
}

/** Creates the verifiers of an instance, which share one cache of users and API keys. */
export function createBearerVerifiers(dependencies: BearerVerifiersDependencies): BearerVerifiers {
  const { clientId, verify, workos, isLive, now, softTimeout } = dependencies;
  const lookups = createWorkOSLookups({ workos, now, softTimeout });
  return {
    forSessions: createVerifyBearer({ ...lookups, verify: rememberValidTokens(verify, now), isLive }),
    forResource: (audience, servers) => {
      const { fetchIssuerKeys: fetchKeys } = workos;
      const verifyGranted = createOAuthTokenVerifier({
        clientId,
        audience,
        servers,
        fetchKeys,
        now,
        softTimeout,
      });
      return createVerifyBearer({ ...lookups, verify: rememberValidTokens(verifyGranted, now), isLive });
    },
  };
}

interface VerifyBearerDependencies extends WorkOSLookups {
  verify: VerifyTokenWithCache;
  isLive: (claims: TokenClaims) => boolean | Promise<boolean>;
}

/**
 * Creates a verifier. It recognizes access tokens by their dots: an access token is a JWT, and an API key contains no
 * dots.
 */
function createVerifyBearer(dependencies: VerifyBearerDependencies): VerifyBearer {
  const { verify, apiKeys } = dependencies;
  return (token, accepts) => {
    if (token === '') return refused('malformed');
    if (!token.includes('.')) {
      if (!accepts.has('apiKey')) return refused('not an access token');
      if (!API_KEY.test(token)) return refused('not an API key');
      return after(apiKeys(token), (answer) => toResult(answer, toApiKeyAuth));
    }
    if (!accepts.has('bearer') && !accepts.has('machine'))
      return refused('access tokens are not accepted here');
    return after(verify(token), (verification) => verifyToken(token, verification, accepts, dependencies));
  };
}

function verifyToken(
  token: string,
  verification: TokenVerification,
  accepts: ReadonlySet<AuthType>,
  { users, isLive }: VerifyBearerDependencies,
): BearerResult | Promise<BearerResult> {
  if (verification.kind === 'unavailable') return keysUnavailable(verification);
  if (verification.kind === 'expired') return refused('expired');
  if (verification.kind === 'invalid') return refused(verification.reason);
  const claims: TokenClaims = verification.claims;
  const type = isMachine(claims) ? 'machine' : 'bearer';
  if (!accepts.has(type)) return refused(`${type} tokens are not accepted here`);
  return after(isLive(claims), (live) => {
    if (!live) return refused('signed out');
    if (type === 'machine') return { kind: 'ok', principal: toMachineAuth(claims, token) };
    return after(users(claims.sub), (answer) =>
      toResult(answer, (user) => toBearerAuth(user, claims, token)),
    );
  });
}

function keysUnavailable({
  isKeyUnknown,
  retryAfter,
}: Extract<TokenVerification, { kind: 'unavailable' }>): BearerResult {
  const message = isKeyUnknown
    ? 'the key of the token is not in the key set, which cannot be fetched again yet'
    : 'the keys of the issuer are unavailable';
  return { kind: 'unavailable', error: unavailable(message, retryAfter === undefined ? {} : { retryAfter }) };
}

/**
 * Whether the token belongs to a machine. The subject (`sub`) of a token from the client credentials grant is the
 * application itself.
 */
function isMachine({ sub }: TokenClaims): boolean {
  return sub.startsWith('client_');
}

function toResult<T>(answer: ApiResult<T>, toPrincipal: (value: T) => Principal): BearerResult {
  if (answer.kind === 'ok') return { kind: 'ok', principal: toPrincipal(answer.value) };
  return answer.kind === 'refused' ? refused('unknown to WorkOS') : answer;
}

function refused(reason: string): BearerResult {
  return { kind: 'refused', reason };
}
