import {
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  SignJWT,
  type CryptoKey,
  type JWK,
  type JWTPayload,
} from 'jose';

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
