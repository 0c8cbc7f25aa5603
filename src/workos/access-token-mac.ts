import { createHmac, createSecretKey, hkdfSync, timingSafeEqual } from 'node:crypto';

/**
 * MACs of access tokens whose signatures this application has verified. In the seal of a session, such a MAC stands for
 * the RSA signature, which takes much longer to verify.
 *
 * The key is derived from the API key of WorkOS and not from the cookie password, so that the cookie password alone is
 * not enough to forge a token. The owner of the API key can sign any user in at WorkOS anyway.
 */
export interface TokenMacs {
  /**
   * The MAC of a token whose signature was verified with the key of this id, in base64url. There is none for a token
   * without a key id: whether its key is still published could not be checked later.
   */
  create: (token: string, kid: string | undefined) => string | undefined;
  isValid: (mac: string, token: string, kid: string | undefined) => boolean;
}

/** What the key is for, and the version of what is signed. */
const PURPOSE = 'authkit-express access token verified v1';

/** Bytes of the key of HMAC-SHA-256. */
const KEY_LENGTH = 32;

/** 128 bits are kept, the least that RFC 2104 section 5 recommends for a hash of 256 bits. */
const MAC_LENGTH = 16;

export function createTokenMacs({ apiKey, clientId }: { apiKey: string; clientId: string }): TokenMacs {
  const key = createSecretKey(Buffer.from(hkdfSync('sha256', apiKey, clientId, PURPOSE, KEY_LENGTH)));
  const macOf = (token: string, kid: string) =>
    createHmac('sha256', key)
      // A token contains no NUL, so no other pair gives the same text.
      .update(`${token}\0${kid}`)
      .digest()
      .toString('base64url', 0, MAC_LENGTH);
  return {
    create: (token, kid) => (kid === undefined ? undefined : macOf(token, kid)),
    isValid(mac, token, kid) {
      if (kid === undefined) return false;
      // Compared as text, so that no other spelling of the same bytes is accepted.
      const expected = Buffer.from(macOf(token, kid));
      const given = Buffer.from(mac);
      return given.length === expected.length && timingSafeEqual(given, expected);
    },
  };
}
