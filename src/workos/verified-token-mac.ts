import { createHmac, createSecretKey, hkdfSync, timingSafeEqual } from 'node:crypto';

/**
 * Creates and checks the MACs of access tokens. A MAC shows that this application has already verified the RSA
 * signature of a token. A sealed session contains the MAC of its token, and checking the MAC is much faster than
 * checking the signature again.
 *
 * The MAC key is derived from the WorkOS API key and not from the cookie password, so the cookie password alone is not
 * enough to forge a token. An attacker who has the API key could sign in as any user anyway.
 */
export interface TokenMacs {
  /**
   * Returns the MAC of a token, in base64url. The signature must have been verified with the key that has the ID `kid`.
   * A token without a key ID gets no MAC, because it would be impossible to check later whether its key is still
   * published.
   */
  create: (token: string, kid: string | undefined) => string | undefined;
  /** Whether `mac` is the MAC that `create` returns for this token and key ID. */
  isValid: (mac: string, token: string, kid: string | undefined) => boolean;
}

/** The `info` parameter of HKDF: the purpose of the MAC key, and the version of the text that is authenticated. */
const PURPOSE = 'authkit-express access token verified v1';

/** The length of the HMAC-SHA-256 key, in bytes. */
const KEY_LENGTH = 32;

/**
 * The length of a MAC, in bytes. RFC 2104 section 5 recommends at least half of the hash length: 128 bits for SHA-256.
 */
const MAC_LENGTH = 16;

export function createTokenMacs({ apiKey, clientId }: { apiKey: string; clientId: string }): TokenMacs {
  const key = createSecretKey(Buffer.from(hkdfSync('sha256', apiKey, clientId, PURPOSE, KEY_LENGTH)));
  const macOf = (token: string, kid: string) =>
    createHmac('sha256', key)
      // A token contains no NUL character, so different pairs of token and key ID never give the same text.
      .update(`${token}\0${kid}`)
      .digest()
      .toString('base64url', 0, MAC_LENGTH);
  return {
    create: (token, kid) => (kid === undefined ? undefined : macOf(token, kid)),
    isValid(mac, token, kid) {
      if (kid === undefined) return false;
      // The MACs are compared as text, because several base64url texts can decode to the same bytes.
      const expected = Buffer.from(macOf(token, kid));
      const given = Buffer.from(mac);
      return given.length === expected.length && timingSafeEqual(given, expected);
    },
  };
}
