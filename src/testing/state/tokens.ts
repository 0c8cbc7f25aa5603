import type { OauthTokens } from '@workos-inc/node';
import {
  type CryptoKey,
  type JWK,
  type JWTPayload,
  SignJWT,
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
} from 'jose';
import { createHash, randomBytes } from 'node:crypto';

/** Crockford's base 32, in which WorkOS writes the ULID of an identifier. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const LENGTH = 26;

/** A new identifier in WorkOS's form, such as `session_01…`. */
export function newId(prefix: string): string {
  return format(prefix, randomBytes(LENGTH));
}

/** The same identifier for the same name in every process, so that a restarted example still knows its people. */
export function idFor(prefix: string, name: string): string {
  return format(prefix, createHash('sha256').update(name.toLowerCase()).digest());
}

/** An opaque value that nobody can guess: a code, a refresh token. */
export function newSecret(): string {
  return randomBytes(24).toString('base64url');
}

function format(prefix: string, bytes: Uint8Array): string {
  const ulid = Array.from(bytes.subarray(0, LENGTH), (byte) => ALPHABET.charAt(byte % ALPHABET.length)).join(
    '',
  );
  return `${prefix}_01${ulid.slice(2)}`;
}

/** RFC 6749 section 4.1.2 recommends at most ten minutes. */
const LIFETIME = 600_000;

/** What a sign-in decided, until the application fetches it. */
export interface Authorization {
  readonly userId: string;
  readonly organizationId: string | undefined;
  readonly authenticationMethod: string;
  /** Of the sign-in that named it, or whose connection led to it. */
  readonly connectionId: string | undefined;
  readonly isOrganizationNamed: boolean;
  /** Of PKCE (RFC 7636), by S256. */
  readonly codeChallenge: string | undefined;
  /** Seconds since the epoch, if the sign-in asked for `max_age`. */
  readonly authTime: number | undefined;
  readonly oauthTokens: OauthTokens | undefined;
}

export interface Codes {
  issue: (authorization: Authorization) => string;
  /** Spends a code, whatever comes of it; `undefined` if it is unknown, spent or too old. */
  spend: (code: string) => Authorization | undefined;
}

/** Authorization codes: single use, ten minutes. */
export function createCodes(now: () => number): Codes {
  const pending = new Map<string, { authorization: Authorization; expiresAt: number }>();
  return {
    issue: (authorization) => {
      const code = newId('code').slice('code_'.length);
      pending.set(code, { authorization, expiresAt: now() + LIFETIME });
      return code;
    },
    spend: (code) => {
      const found = pending.get(code);
      pending.delete(code);
      return found && now() < found.expiresAt ? found.authorization : undefined;
    },
  };
}

/** RFC 7636 section 4.6. Without a challenge there is nothing to prove. */
export function provesChallenge(challenge: string | undefined, verifier: string | undefined): boolean {
  if (challenge === undefined) return true;
  return verifier !== undefined && createHash('sha256').update(verifier).digest('base64url') === challenge;
}

const ALGORITHM = 'RS256';

interface SigningKey {
  kid: string;
  privateKey: CryptoKey;
  publicJwk: JWK;
}

export interface SigningKeys {
  /** A JWT of these claims, signed with the current key. */
  sign: (claims: JWTPayload) => Promise<string>;
  /** What WorkOS publishes: the current key first. */
  published: () => Promise<{ keys: JWK[] }>;
  /** Signs with a fresh key from now on; the former keys stay published if `keepOld`. */
  rotate: (options?: { keepOld?: boolean }) => Promise<void>;
}

/** Making an RSA key takes some 100 ms: one serves every test WorkOS of the process, until it rotates. */
const shared = new Map<string, Promise<SigningKey>>();

/**
 * RSA keys of 2048 bits (RFC 7518 section 3.3), made when they are first needed.
 *
 * @param of Whose they are: each has keys of its own.
 */
export function createSigningKeys(of: 'sessions' | 'oauth'): SigningKeys {
  let keys: Promise<SigningKey>[] | undefined;
  const all = () => (keys ??= [sharedBy(of)]);
  const current = () => all()[0] ?? generate();

  return {
    sign: async (claims) => {
      const { kid, privateKey } = await current();
      return new SignJWT(claims).setProtectedHeader({ alg: ALGORITHM, kid, typ: 'JWT' }).sign(privateKey);
    },
    published: async () => ({ keys: (await Promise.all(all())).map((key) => key.publicJwk) }),
    rotate: async ({ keepOld = true } = {}) => {
      const fresh = generate();
      keys = keepOld ? [fresh, ...all()] : [fresh];
      await fresh;
    },
  };
}

function sharedBy(of: string): Promise<SigningKey> {
  const key = shared.get(of) ?? generate();
  shared.set(of, key);
  return key;
}

async function generate(): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(ALGORITHM, { modulusLength: 2048 });
  const jwk = await exportJWK(publicKey);
  const kid = `sso_oidc_key_pair_${await calculateJwkThumbprint(jwk)}`;
  return { kid, privateKey, publicJwk: { ...jwk, kid, alg: ALGORITHM, use: 'sig' } };
}
