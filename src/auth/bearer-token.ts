import type { ApiKey, User } from '@workos-inc/node';
import { after } from '../deadline.js';
import { type AuthKitError, unavailable } from '../errors.js';
import type { Request } from '../http/handler-to-middleware.js';
import { header } from '../http/request.js';
import type { RevocationStatus } from '../session/revocation.js';
import {
  createOAuthTokenVerifier,
  type TokenClaims,
  type TokenVerification,
  type VerifyAccessToken,
} from '../workos/access-token.js';
import type { ApiResult, WorkOSClient } from '../workos/api-client.js';
import { type CachedLookup, createCachedLookup } from '../workos/cached-lookup.js';
import { createApiKeyLookup, isApiKey } from './api-key.js';
import { type AuthType, type Principal, toApiKeyAuth, toBearerAuth, toMachineAuth } from './principal.js';
import { rememberValidTokens, type VerifyTokenWithCache } from './verified-token-cache.js';

/**
 * Matches an `Authorization` header with the `Bearer` scheme and captures its token (RFC 6750 section 2.1). Schemes are
 * case-insensitive (RFC 9110 section 11.1).
 */
const BEARER = /^bearer(?: +([\w.~+/-]+=*) *)?$/i;

/**
 * The maximum length of an accepted `Authorization` header, in characters. The value equals Node's default limit for
 * the total size of all request headers.
 */
const MAX_LENGTH = 16_384;

/** How long a user is cached, in milliseconds. The value is the default lifetime of an access token. */
const USER_MAX_AGE = 300_000;

/**
 * How much longer than `USER_MAX_AGE` a cached user can be used while WorkOS is unavailable, in milliseconds. Possibly
 * outdated user data is better than a failed request.
 */
const USER_STALE_IF_ERROR = 86_400_000;

/**
 * The result of verifying a bearer token. `unavailable` means that the token could not be checked at this time, so it
 * may or may not be valid.
 */
export type BearerResult =
  | { readonly kind: 'ok'; readonly principal: Principal }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'unavailable'; readonly error: AuthKitError };

/**
 * Verifies a bearer token. Tokens whose credential type is not in `accepts` are refused. Returns a promise only if the
 * result is not known immediately. The promise never rejects.
 */
export type VerifyBearer = (
  token: string,
  accepts: ReadonlySet<AuthType>,
) => BearerResult | Promise<BearerResult>;

/**
 * Reads the bearer token from the `Authorization` header. Other schemes are ignored, because they may be intended for a
 * proxy in front of the app.
 *
 * @returns The token. `undefined` if the request has no `Authorization` header with the `Bearer` scheme. An empty
 * string if the token is malformed or the header is too long.
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
  /** Verifies API keys and the access tokens that WorkOS issues for sessions. */
  forSessions: VerifyBearer;
  /**
   * Like `forSessions`, but also accepts access tokens that were issued before their user's data changed, because a
   * sign-out does not use the claims that may be outdated.
   */
  forSignOut: VerifyBearer;
  /**
   * Creates a verifier for API keys and for OAuth access tokens. An access token must have been issued by one of the
   * given authorization servers for the given audience.
   */
  forResource: (audience: readonly string[], authorizationServers: readonly string[]) => VerifyBearer;
}

export interface BearerVerifiersDependencies {
  clientId: string;
  verify: VerifyAccessToken;
  workos: WorkOSClient;
  /** Returns the status of the token's session. */
  statusOf: (claims: TokenClaims) => RevocationStatus | Promise<RevocationStatus>;
  /**
   * Returns when a user last changed, in milliseconds since the epoch, or 0 if no change is known. Called after
   * `statusOf`.
   */
  changedAt: (userId: string) => number;
  now: () => number;
  /** How long a request waits for a new result if an older result can still be used, in milliseconds. */
  softTimeout: number;
}

/** Creates the bearer token verifiers of an instance. All verifiers share the same cached users and API keys. */
export function createBearerVerifiers(dependencies: BearerVerifiersDependencies): BearerVerifiers {
  const { clientId, verify, workos, statusOf, now, softTimeout } = dependencies;
  const shared = {
    users: createUserLookup(dependencies),
    apiKeys: createApiKeyLookup({ workos, now, softTimeout }),
    statusOf,
    acceptsOutdated: false,
  };
  const sessionDependencies = { ...shared, verify: rememberValidTokens(verify, now) };
  return {
    forSessions: createVerifyBearer(sessionDependencies),
    forSignOut: createVerifyBearer({ ...sessionDependencies, acceptsOutdated: true }),
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
      return createVerifyBearer({ ...shared, verify: rememberValidTokens(verifyGranted, now) });
    },
  };
}

/** Creates the cached lookup of users by ID. */
function createUserLookup({
  workos,
  changedAt,
  now,
  softTimeout,
}: Pick<BearerVerifiersDependencies, 'workos' | 'changedAt' | 'now' | 'softTimeout'>): CachedLookup<User> {
  return createCachedLookup({
    // User IDs come from verified tokens and are not secret, so they do not have to be hashed. When a user changes, so
    // does the cache key, so the earlier profile is no longer used.
    nameOf: (id) => `${id} ${changedAt(id)}`,
    ask: (id) => workos.call(({ userManagement }) => userManagement.getUser(id)),
    maxAge: USER_MAX_AGE,
    staleIfError: USER_STALE_IF_ERROR,
    softTimeout,
    now,
  });
}

interface VerifyBearerDependencies {
  users: CachedLookup<User>;
  apiKeys: CachedLookup<ApiKey>;
  verify: VerifyTokenWithCache;
  statusOf: BearerVerifiersDependencies['statusOf'];
  /** Whether to accept tokens that were issued before their user's data changed. */
  acceptsOutdated: boolean;
}

/**
 * Creates a function that verifies bearer tokens. Any token that contains a dot is verified as an access token, because
 * access tokens are JWTs and API keys contain no dots.
 */
function createVerifyBearer(dependencies: VerifyBearerDependencies): VerifyBearer {
  const { verify, apiKeys } = dependencies;
  return (token, accepts) => {
    if (token === '') return refused('malformed');
    if (!token.includes('.')) {
      if (!accepts.has('apiKey')) return refused('not an access token');
      if (!isApiKey(token)) return refused('not an API key');
      return after(apiKeys(token), (answer) => toResult(answer, toApiKeyAuth));
    }
    if (!accepts.has('bearer') && !accepts.has('machine'))
      return refused('access tokens are not accepted here');
    return after(verify(token), (verification) => verifyToken(token, verification, accepts, dependencies));
  };
}

function verifyToken(
  token: string,
  verification: TokenVerification<TokenClaims>,
  accepts: ReadonlySet<AuthType>,
  { users, statusOf, acceptsOutdated }: VerifyBearerDependencies,
): BearerResult | Promise<BearerResult> {
  if (verification.kind === 'unavailable') return keysUnavailable(verification);
  if (verification.kind === 'expired') return refused('expired');
  if (verification.kind === 'invalid') return refused(verification.reason);
  const { claims } = verification;
  const type = isMachine(claims) ? 'machine' : 'bearer';
  if (!accepts.has(type)) return refused(`${type} tokens are not accepted here`);
  return after(statusOf(claims), (status) => {
    if (status === 'revoked') return refused('signed out');
    // As in a session, the token counts as expired: its user may have lost a role that the token still contains.
    if (status === 'changed' && !acceptsOutdated) return refused('issued before the user changed');
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
 * Whether the token belongs to a machine. In a token from the client credentials grant, the subject (`sub`) is the
 * client ID of the machine-to-machine application.
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
