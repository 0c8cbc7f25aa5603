import { type KeyObject, verify as verifySignature } from 'node:crypto';
import { createJWKS, type JWKS, type JWKSLookup } from './jwks.js';

/** Longer than any access token that fits a cookie, or that somebody would want to keep in a store. */
const MAX_LENGTH = 262_144;

/** Clocks differ; being early by this much (seconds) is not forgery. */
const NOT_BEFORE_SKEW = 60;

/**
 * Claims that the JWT template of your WorkOS environment adds, for your types: they are `unknown` until you say once
 * what they are.
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

/** Claims of an access token whose signature was checked. */
export interface TokenClaims extends CustomClaims {
  readonly iss: string;
  /** The user's id; for a machine, that of its application. */
  readonly sub: string;
  /** The session's id. */
  readonly sid?: string;
  /** Seconds since the epoch, as all times here. */
  readonly exp: number;
  readonly iat?: number;
  readonly auth_time?: number;
  readonly org_id?: string;
  readonly [claim: string]: unknown;
}

/** Claims of the access token of a session. */
export interface Claims extends TokenClaims {
  readonly sid: string;
}

/**
 * What can be said of an access token. `expired` is also a token of a key that WorkOS no longer has: either way a
 * refresh decides. `unknown` says nothing about the token: the keys could not be had.
 */
export type TokenVerification =
  | { readonly kind: 'valid'; readonly claims: Claims }
  | { readonly kind: 'expired' }
  | { readonly kind: 'invalid'; readonly reason: string }
  | { readonly kind: 'unavailable' };

export interface AccessTokenRules {
  issuers: readonly string[];
  /** For tokens of an OAuth server: whom they may be meant for, one of these. They need no `sid` then. */
  audience?: readonly string[];
  clientId: string;
  now: () => number;
  keys: JWKS;
}

export type VerifyAccessToken = (
  token: string,
  isTrusted?: boolean,
) => TokenVerification | Promise<TokenVerification>;

/**
 * Makes the judge of WorkOS access tokens: JWT (RFC 7519), RS256 and nothing else, one configured key set.
 *
 * On `node:crypto`, synchronous while the keys are at hand: `jose` takes some seven times as long for the same
 * signature, in promises and thread hops. The tests hold it to jose's verdicts.
 */
export function createVerifier(rules: AccessTokenRules): VerifyAccessToken {
  const headerOf = createHeaderReader();
  return (token, isTrusted) => {
    const parsed = parse(token, headerOf);
    if (!parsed) return invalid('not a JWT of RS256');
    const keys = rules.keys.find(parsed.kid, isTrusted);
    return keys instanceof Promise
      ? keys.then((found) => verifyParsed(parsed, found, rules))
      : verifyParsed(parsed, keys, rules);
  };
}

interface Parsed {
  /** Of the one key of a set, if there is none. */
  kid: string | undefined;
  signed: Buffer;
  signature: Buffer;
  payload: Record<string, unknown>;
}

function verifyParsed(parsed: Parsed, keys: JWKSLookup, rules: AccessTokenRules): TokenVerification {
  if (keys === 'unavailable') return { kind: 'unavailable' };
  if (keys.length === 0) return { kind: 'expired' };
  if (!keys.some((key) => isSignedBy(parsed, key))) return invalid('signature');
  return verifyClaims(parsed.payload, rules);
}

function isSignedBy({ signed, signature }: Parsed, key: KeyObject): boolean {
  return verifySignature('RSA-SHA256', signed, key, signature);
}

/** The order matters: an expired token is only called that if nothing else is wrong with it. */
function verifyClaims(claims: Record<string, unknown>, rules: AccessTokenRules): TokenVerification {
  const { issuers, now } = rules;
  const { iss, sub, exp, nbf, iat } = claims;
  if (!isOneOf(issuers, iss)) return invalid('issuer');
  const problem = rules.audience ? problemOfGrant(claims, rules.audience) : problemOfSession(claims, rules);
  if (problem !== undefined) return invalid(problem);
  if (typeof sub !== 'string' || sub === '') return invalid('sub');
  if (typeof exp !== 'number' || !Number.isFinite(exp)) return invalid('exp');
  if (iat !== undefined && typeof iat !== 'number') return invalid('iat');
  const seconds = now() / 1000;
  if (nbf !== undefined && !(typeof nbf === 'number' && nbf <= seconds + NOT_BEFORE_SKEW))
    return invalid('nbf');
  return seconds >= exp ? { kind: 'expired' } : { kind: 'valid', claims: claims as unknown as Claims };
}

function problemOfSession(
  { sid, client_id: client }: Record<string, unknown>,
  { clientId }: AccessTokenRules,
) {
  if (client !== undefined && client !== clientId) return 'client_id';
  return typeof sid === 'string' && sid !== '' ? undefined : 'sid';
}

/** RFC 9068 section 4: a token that names no audience, or another one, is not for us. */
function problemOfGrant({ aud, sid }: Record<string, unknown>, audience: readonly string[]) {
  if (![aud].flat().some((name) => isOneOf(audience, name))) return 'aud';
  return sid === undefined || typeof sid === 'string' ? undefined : 'sid';
}

function isOneOf(names: readonly unknown[], value: unknown): boolean {
  return names.includes(value);
}

function parse(token: string, headerOf: HeaderReader): Parsed | undefined {
  if (token.length > MAX_LENGTH) return undefined;
  const parts = token.split('.', 4);
  if (parts.length !== 3) return undefined;
  const [head, body, mac] = parts as [string, string, string];
  const header = headerOf(head);
  if (!header) return undefined;
  const payload = record(body);
  const signature = bytes(mac);
  if (!payload || !signature?.length) return undefined;
  return { kid: header.kid, payload, signature, signed: Buffer.from(`${head}.${body}`, 'latin1') };
}

/** A header that asks for nothing but RS256. */
interface Header {
  readonly head: string;
  readonly kid: string | undefined;
}

type HeaderReader = (head: string) => Header | undefined;

/** Tokens of one key have one header, so the last one is remembered. */
function createHeaderReader(): HeaderReader {
  let last: Header | undefined;
  return (head) => {
    if (last?.head === head) return last;
    const header = record(head);
    // RFC 7515 section 4.1.11: an extension that is not understood must not be passed over.
    if (header?.['alg'] !== 'RS256' || header['crit'] !== undefined || header['b64'] !== undefined)
      return undefined;
    const { kid } = header;
    if (kid !== undefined && typeof kid !== 'string') return undefined;
    return (last = { head, kid });
  };
}

/**
 * The claims of a token without any check. Only for tokens out of a seal of ours, to name what they are about.
 */
export function decodeUnverified(token: string): Readonly<Record<string, unknown>> {
  return record(token.split('.', 2)[1] ?? '') ?? {};
}

function record(part: string): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(bytes(part)?.toString('utf8') ?? '') as unknown;
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

/** base64url as RFC 7515 section 2 has it, in its one canonical form. */
function bytes(base64url: string): Buffer | undefined {
  const decoded = Buffer.from(base64url, 'base64url');
  return decoded.toString('base64url') === base64url ? decoded : undefined;
}

function invalid(reason: string): TokenVerification {
  return { kind: 'invalid', reason };
}

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
