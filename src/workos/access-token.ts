import type { KeyObject } from 'node:crypto';
import type * as Jose from 'jose/jws/compact/verify';
import { CLOCK_TOLERANCE } from './clock-difference.js';
import { createJWKS, type JWKS, type JWKSLookup } from './jwks.js';
import type { TokenMacs } from './verified-token-mac.js';

/**
 * The maximum length of a token, in characters. Longer tokens are not parsed. No access token in a cookie or a store is
 * longer than this.
 */
const MAX_LENGTH = 262_144;

/**
 * Claims that the JWT template of your WorkOS environment adds. They are `unknown` until you declare their types.
 *
 * @example
 * declare module 'authkit-express' {
 *   interface CustomClaims {
 *     plan?: 'free' | 'pro';
 *   }
 * }
 */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- merged by the application
export interface CustomClaims {}

/** Claims of an access token whose signature was verified. The object has no prototype. */
export interface TokenClaims extends CustomClaims {
  readonly iss: string;
  /** The ID of the user or, for a machine, of the M2M application. */
  readonly sub: string;
  /** The ID of the session. */
  readonly sid?: string;
  /** When the token expires, in seconds since the epoch. */
  readonly exp: number;
  /** When the token was issued, in seconds since the epoch. */
  readonly iat?: number;
  /** When the user authenticated, in seconds since the epoch. */
  readonly auth_time?: number;
  /** The ID of the organization. */
  readonly org_id?: string;
  readonly [claim: string]: unknown;
}

/** Claims of a session's access token. */
export interface Claims extends TokenClaims {
  readonly sid: string;
}

/**
 * The result of verifying an access token.
 *
 * - `valid`: the token is valid. `mac` replaces the signature check when the same token is verified again. See {@link
 *   TokenMacs}.
 * - `expired`: the token has expired but is otherwise valid, or its key is no longer published. A refresh decides
 *   whether the session continues.
 * - `invalid`: the token must not be accepted. `reason` names the part that is invalid.
 * - `unavailable`: the token cannot be verified, because its key cannot currently be fetched. If `isKeyUnknown` is set,
 *   other keys are available, but the key of this token may be newer than they are. `retryAfter` is in seconds.
 */
export type TokenVerification<C extends TokenClaims = Claims> =
  | { readonly kind: 'valid'; readonly claims: C; readonly mac?: string }
  | { readonly kind: 'expired' }
  | { readonly kind: 'invalid'; readonly reason: string }
  | { readonly kind: 'unavailable'; readonly isKeyUnknown?: true; readonly retryAfter?: number };

/** The access tokens of sessions, which WorkOS issues for one client ID. */
interface SessionTokens {
  readonly kind: 'session';
  readonly clientId: string;
  /** The accepted values of `aud`. A token without `aud` is accepted too. */
  readonly audience: readonly string[];
}

/** The access tokens that an OAuth server issues for a protected resource (RFC 9068). */
interface ResourceTokens {
  readonly kind: 'resource';
  /** The identifiers of the resource. `aud` must contain one of them. */
  readonly audience: readonly string[];
}

type AcceptedTokens = SessionTokens | ResourceTokens;

/** The claims of an accepted token. Only the token of a session always has a session ID. */
type ClaimsOf<A extends AcceptedTokens> = A extends SessionTokens ? Claims : TokenClaims;

export interface AccessTokenRules<A extends AcceptedTokens = SessionTokens> {
  issuers: readonly string[];
  accepts: A;
  now: () => number;
  keys: JWKS;
  /**
   * Creates and checks the MACs that replace repeated signature checks. If `macs` is not set, the signature of a token
   * is checked in every verification.
   */
  macs?: TokenMacs;
}

/**
 * Verifies an access token. Never rejects.
 *
 * @param isTrusted Whether WorkOS has just sent the token. If so, an unknown key always causes another fetch of the key
 * set. Otherwise, such fetches are limited.
 * @param mac The MAC that an earlier verification of the token returned. If it is missing or invalid, the signature is
 * checked.
 */
export type VerifyAccessToken<C extends TokenClaims = Claims> = (
  token: string,
  isTrusted?: boolean,
  mac?: string,
) => Promise<TokenVerification<C>>;

/** Returns the MAC in the result of a verification, or `undefined` if there is none. */
export function macOf(verification: TokenVerification): string | undefined {
  return verification.kind === 'valid' ? verification.mac : undefined;
}

/**
 * Creates the function that verifies WorkOS access tokens. These are JWTs (RFC 7519) that are signed with RS256 by a
 * key in the configured key set.
 */
export function createVerifier<A extends AcceptedTokens>(
  rules: AccessTokenRules<A>,
): VerifyAccessToken<ClaimsOf<A>> {
  return async (text, isTrusted = false, mac) => {
    const token = parse(text);
    if (!token) return invalid('not a JWT of RS256');
    const key = await rules.keys.find(token.kid, isTrusted);
    if (key.kind === 'found') return verifyWithKey(token, key, mac, rules);
    if (key.kind === 'unavailable') return { kind: 'unavailable' };
    if (key.kind === 'missing') return isTrusted ? { kind: 'unavailable' } : { kind: 'expired' };
    const { retryAfter } = key;
    return verifyClaims(token, rules).kind === 'valid'
      ? { kind: 'unavailable', isKeyUnknown: true, retryAfter }
      : { kind: 'expired' };
  };
}

/**
 * Verifies a token synchronously, using the MAC that an earlier verification returned. Returns `undefined` if the MAC
 * is missing or invalid, or if the keys must be fetched. In this case, call {@link VerifyAccessToken}.
 */
export type VerifyByMac = (token: string, mac: string | undefined) => TokenVerification | undefined;

export function createMacVerifier(rules: AccessTokenRules): VerifyByMac {
  return (text, mac) => {
    const token = mac === undefined ? undefined : parse(text);
    if (!token?.kid || !rules.keys.hasFresh(token.kid)) return undefined;
    return hasValidMac(token, mac, rules) ? verifyClaims(token, rules) : undefined;
  };
}

interface ParsedToken {
  readonly text: string;
  readonly kid: string | undefined;
  readonly typ: unknown;
  readonly claims: Readonly<Record<string, unknown>>;
}

/**
 * Whether the MAC of a token is valid. A valid MAC shows that this application has verified the token's signature
 * before. Everything else about the token must still be checked.
 */
function hasValidMac(
  { text, kid }: ParsedToken,
  mac: string | undefined,
  { macs }: Pick<AccessTokenRules, 'macs'>,
): boolean {
  return mac !== undefined && macs?.isValid(mac, text, kid) === true;
}

async function verifyWithKey<A extends AcceptedTokens>(
  token: ParsedToken,
  { keys, isFresh }: Extract<JWKSLookup, { kind: 'found' }>,
  mac: string | undefined,
  rules: AccessTokenRules<A>,
): Promise<TokenVerification<ClaimsOf<A>>> {
  const { text, kid } = token;
  const { macs } = rules;
  const isVerified = isFresh && hasValidMac(token, mac, rules);
  if (!isVerified && !(await isSigned(text, keys))) return invalid('signature');
  const verification = verifyClaims(token, rules);
  if (verification.kind !== 'valid' || !macs) return verification;
  const created = isVerified ? mac : macs.create(text, kid);
  return created === undefined ? verification : { ...verification, mac: created };
}

/**
 * Whether the token is signed with one of the keys (RFC 7515 section 5.2). Several keys are passed if the key set
 * contains more than one key with the same ID.
 */
async function isSigned(token: string, keys: readonly KeyObject[]): Promise<boolean> {
  // `jose` is imported on demand, because a process that only reads its own sessions does not need it.
  const { compactVerify } = await (jose ??= import('jose/jws/compact/verify'));
  for (const key of keys) {
    const verified = await compactVerify(token, key, { algorithms: ['RS256'] }).catch(() => undefined);
    if (verified) return true;
  }
  return false;
}

let jose: Promise<typeof Jose> | undefined;

/**
 * Verifies everything about a token except its signature. A token is `expired` only if nothing else is wrong with it.
 */
function verifyClaims<A extends AcceptedTokens>(
  { typ, claims }: ParsedToken,
  { issuers, accepts, now }: AccessTokenRules<A>,
): TokenVerification<ClaimsOf<A>> {
  const { iss, sub, exp, nbf, iat } = claims;
  if (!isOneOf(issuers, iss)) return invalid('issuer');
  const problem =
    accepts.kind === 'session' ? sessionProblem(claims, accepts) : resourceProblem(typ, claims, accepts);
  if (problem !== undefined) return invalid(problem);
  if (typeof sub !== 'string' || sub === '') return invalid('sub');
  if (typeof exp !== 'number' || !Number.isFinite(exp)) return invalid('exp');
  if (iat !== undefined && typeof iat !== 'number') return invalid('iat');
  const seconds = now() / 1000;
  if (nbf !== undefined && !(typeof nbf === 'number' && nbf <= seconds + CLOCK_TOLERANCE))
    return invalid('nbf');
  return seconds >= exp ? { kind: 'expired' } : { kind: 'valid', claims: claims as unknown as ClaimsOf<A> };
}

type UnverifiedClaims = ParsedToken['claims'];

/** Returns why a token is not an access token of a session, or `undefined` if it is one. */
function sessionProblem(
  { sid, aud, client_id: client }: UnverifiedClaims,
  { clientId, audience }: SessionTokens,
) {
  if (client !== undefined && client !== clientId) return 'client_id';
  // WorkOS does not set `aud`, but a JWT template can.
  if (aud !== undefined && !isForAudience(aud, audience)) return 'aud';
  return typeof sid === 'string' && sid !== '' ? undefined : 'sid';
}

/**
 * The accepted values of `typ`, in lower case. RFC 9068 section 2.1 requires `at+jwt` or `application/at+jwt`. Servers
 * that do not follow it leave out `typ` or send `JWT`.
 */
const ACCESS_TOKEN_TYPES: readonly unknown[] = [undefined, 'at+jwt', 'application/at+jwt', 'jwt'];

/**
 * Returns why a token is not an access token for this resource (RFC 9068 section 4), or `undefined` if it is one. The
 * token may be for a different audience, or of a different kind, such as an ID token.
 */
function resourceProblem(typ: unknown, claims: UnverifiedClaims, { audience }: ResourceTokens) {
  const { aud, sid, nonce, at_hash: hash } = claims;
  if (!isForAudience(aud, audience)) return 'aud';
  if (!isOneOf(ACCESS_TOKEN_TYPES, typeof typ === 'string' ? typ.toLowerCase() : typ)) return 'typ';
  // These claims show that the token is an ID token (OpenID Connect Core section 3.1.3.6).
  if (nonce !== undefined || hash !== undefined) return 'an ID token';
  return sid === undefined || typeof sid === 'string' ? undefined : 'sid';
}

/** Whether `aud` contains an accepted audience. `aud` is one name or a list of names (RFC 7519 section 4.1.3). */
function isForAudience(aud: unknown, audience: readonly string[]): boolean {
  return [aud].flat().some((name) => isOneOf(audience, name));
}

function isOneOf(names: readonly unknown[], value: unknown): boolean {
  return names.includes(value);
}

/**
 * Parses a token without checking its signature. Returns `undefined` if the token is malformed, or if its header does
 * not name RS256.
 */
function parse(token: string): ParsedToken | undefined {
  if (token.length > MAX_LENGTH) return undefined;
  const parts = token.split('.', 4);
  if (parts.length !== 3) return undefined;
  const [head, body, signature] = parts as [string, string, string];
  const header = decodeObject(head);
  // RFC 7515 section 4.1.11: an extension that is not understood makes the token invalid.
  if (header?.['alg'] !== 'RS256' || 'crit' in header || 'b64' in header) return undefined;
  const { kid, typ } = header;
  if (kid !== undefined && typeof kid !== 'string') return undefined;
  const claims = decodeObject(body);
  return claims && decode(signature)?.length ? { text: token, kid, typ, claims } : undefined;
}

/**
 * Reads the claims of a token without any check. Use these claims only if the token comes from a sealed session or from
 * WorkOS itself, or to find out which issuer's keys must verify the token.
 *
 * @returns An object without a prototype. It is empty if the token is malformed.
 */
export function decodeUnverified(token: string): Readonly<Record<string, unknown>> {
  return decodeObject(token.split('.', 2)[1] ?? '') ?? withoutPrototype({});
}

function decodeObject(part: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value = JSON.parse(decode(part)?.toString('utf8') ?? '') as unknown;
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? withoutPrototype(value)
      : undefined;
  } catch {
    return undefined;
  }
}

/** Copies an object without its prototype, so that a polluted `Object.prototype` cannot add claims. */
function withoutPrototype(value: object): Readonly<Record<string, unknown>> {
  return Object.assign(Object.create(null) as Record<string, unknown>, value);
}

/**
 * Decodes base64url (RFC 7515 section 2). Returns `undefined` if the text is not in canonical form, although Node would
 * accept it.
 */
function decode(base64url: string): Buffer | undefined {
  const decoded = Buffer.from(base64url, 'base64url');
  return decoded.toString('base64url') === base64url ? decoded : undefined;
}

function invalid(reason: string): Extract<TokenVerification, { kind: 'invalid' }> {
  return { kind: 'invalid', reason };
}

export interface OAuthTokenRules {
  clientId: string;
  /** The identifiers of the resource. The token's `aud` must contain one of them. */
  audience: readonly string[];
  /** The issuers whose tokens are accepted: the URLs of OAuth servers, without a trailing slash. */
  servers: readonly string[];
  fetchKeys: (server: string) => Promise<unknown>;
  now: () => number;
  softTimeout: number;
}

/**
 * Creates the function that verifies access tokens for a protected resource (RFC 9068). Each token is verified with the
 * keys of the server that issued it.
 */
export function createOAuthTokenVerifier(rules: OAuthTokenRules): VerifyAccessToken<TokenClaims> {
  const { clientId, audience, servers, fetchKeys, now, softTimeout } = rules;
  const verifiers = new Map(
    servers.map((server) => {
      const keys = createJWKS({
        clientId,
        issuer: server,
        fetchKeys: () => fetchKeys(server),
        now,
        softTimeout,
      });
      const issuers = [server, `${server}/`];
      const verify = createVerifier({ issuers, accepts: { kind: 'resource', audience }, now, keys });
      return [server, verify] as const;
    }),
  );
  return async (token, isTrusted) => {
    const { iss } = decodeUnverified(token);
    const verify = typeof iss === 'string' ? verifiers.get(iss.replace(/\/$/, '')) : undefined;
    return verify ? verify(token, isTrusted) : invalid('issuer');
  };
}
