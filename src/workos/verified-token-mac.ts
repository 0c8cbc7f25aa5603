import { createHmac, createSecretKey, hkdfSync, timingSafeEqual } from 'node:crypto';

/**
 * MACs of access tokens whose signatures this application has verified. A sealed session contains such a MAC, which is
 * checked in place of the much slower RSA signature.
 *
 * The key is derived from the WorkOS API key and not from the cookie password, so the cookie password alone is not
 * enough to forge a token. The owner of the API key can sign any user in at WorkOS anyway.
 */
export interface TokenMacs {
  /**
   * Returns the MAC, in base64url, of a token whose signature was verified with the key of this id. A token without a
   * key id has no MAC, because it would be impossible to check later whether its key is still published.
   */
  create: (token: string, kid: string | undefined) => string | undefined;
  /** Whether `create` returned this MAC for the same token and key id. */
  isValid: (mac: string, token: string, kid: string | undefined) => boolean;
}

/** The purpose of the key, and the version of the signed text. */
const PURPOSE = 'authkit-express access token verified v1';

/** Length of the HMAC-SHA-256 key, in bytes. */
const KEY_LENGTH = 32;

/** Length of a MAC, in bytes. 128 bits is the least that RFC 2104 section 5 recommends for a 256-bit hash. */
const MAC_LENGTH = 16;

export function createTokenMacs({ apiKey, clientId }: { apiKey: string; clientId: string }): TokenMacs {
  const key = createSecretKey(Buffer.from(hkdfSync('sha256', apiKey, clientId, PURPOSE, KEY_LENGTH)));
  const macOf = (token: string, kid: string) =>
    createHmac('sha256', key)
      // A token contains no NUL character, so no other pair of token and key id gives the same text.
      .update(`${token}\0${kid}`)
      .digest()
      .toString('base64url', 0, MAC_LENGTH);
  return {
    create: (token, kid) => (kid === undefined ? undefined : macOf(token, kid)),
    isValid(mac, token, kid) {
      if (kid === undefined) return false;
      // The MACs are compared as text, so that no other spelling of the same bytes is accepted.
      const expected = Buffer.from(macOf(token, kid));
      const given = Buffer.from(mac);
      return given.length === expected.length && timingSafeEqual(given, expected);
    },
  };
}
