import type { TestWorkOS } from 'authkit-express/testing';

/** The claims of an access token, without verification. */
export function claimsOf(accessToken: string): Record<string, unknown> {
  const [, payload = ''] = accessToken.split('.');
  return JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>;
}

/** Adds claims to the access token in a response of WorkOS. */
export async function withClaims(
  workos: TestWorkOS,
  body: Record<string, unknown>,
  added: object,
): Promise<Record<string, unknown>> {
  const claims = claimsOf(String(body['access_token']));
  return { ...body, access_token: await workos.signToken({ ...claims, ...added }) };
}
