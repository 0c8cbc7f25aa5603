import { createHash, KeyObject, randomBytes, sign } from 'node:crypto';
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
  /** Creates a JWT that contains the given claims, signed with the current key. */
  sign: (claims: JWTPayload) => Promise<string>;
  /** Returns the JWKS that WorkOS publishes, with the current key first. */
  published: () => Promise<{ keys: JWK[] }>;
  /** Replaces the current key. The old keys stay published unless `keepOld` is false. */
  rotate: (options?: { keepOld?: boolean }) => Promise<void>;
}

/**
 * The first key for each use. All instances of the test WorkOS in this process share these keys, because generating an
 * RSA key takes about 100 ms.
 */
const shared = new Map<string, Promise<SigningKey>>();

/**
 * Creates a set of 2048-bit RSA keys (RFC 7518 section 3.3). The first key is generated only when it is needed.
 *
 * @param use What the keys sign. Session tokens and the tokens of the OAuth server are signed with different keys.
 */
export function createSigningKeys(use: 'sessions' | 'oauth'): SigningKeys {
  let keys: Promise<SigningKey>[] | undefined;
  const all = () => (keys ??= [sharedKey(use)]);
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

function sharedKey(use: string): Promise<SigningKey> {
  const key = shared.get(use) ?? generate();
  shared.set(use, key);
  return key;
}

async function generate(): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(ALGORITHM, {
    modulusLength: 2048,
    extractable: true,
  });
  const jwk = await exportJWK(publicKey);
  const kid = `sso_oidc_key_pair_${await calculateJwkThumbprint(jwk)}`;
  const certificate = selfSignedCertificate(KeyObject.from(publicKey), KeyObject.from(privateKey));
  const publicJwk = {
    ...jwk,
    kid,
    alg: ALGORITHM,
    use: 'sig',
    x5c: [certificate.toString('base64')],
    'x5t#S256': createHash('sha256').update(certificate).digest('base64url'),
  };
  return { kid, privateKey, publicJwk };
}

/**
 * Creates a self-signed certificate in DER (RFC 5280 section 4.1), for the `x5c` parameter of a JWK (RFC 7517 section
 * 4.7). The certificate is encoded here because Node has no function that creates certificates.
 */
function selfSignedCertificate(publicKey: KeyObject, privateKey: KeyObject): Buffer {
  // The algorithm identifier of sha256WithRSAEncryption (1.2.840.113549.1.1.11).
  const algorithm = der(0x30, Buffer.from('06092a864886f70d01010b0500', 'hex'));
  // A name with one attribute, commonName (2.5.4.3). It is used both as the issuer and as the subject.
  const commonName = der(0x30, Buffer.from('0603550403', 'hex'), der(0x0c, Buffer.from('test-workos')));
  const name = der(0x30, der(0x31, commonName));
  const validity = der(
    0x30,
    der(0x17, Buffer.from('200101000000Z')),
    der(0x18, Buffer.from('20991231235959Z')),
  );
  const serial = Buffer.concat([Buffer.of(1), randomBytes(15)]);
  const version3 = der(0xa0, der(0x02, Buffer.of(2)));
  const key = publicKey.export({ type: 'spki', format: 'der' });
  const body = der(0x30, version3, der(0x02, serial), algorithm, name, validity, name, key);
  const signature = Buffer.concat([Buffer.of(0), sign('sha256', body, privateKey)]);
  return der(0x30, body, algorithm, der(0x03, signature));
}

/** Encodes a value in DER (X.690): its tag, its length and its content. */
function der(tag: number, ...content: readonly Buffer[]): Buffer {
  const body = Buffer.concat(content);
  const { length } = body;
  if (length < 0x80) return Buffer.concat([Buffer.of(tag, length), body]);
  const bytes = length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...bytes), body]);
}
