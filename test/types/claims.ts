import { signedIn, type Claims } from 'authkit-express';
import type { IncomingMessage } from 'node:http';

declare module 'authkit-express' {
  interface CustomClaims {
    /** Optional and specific to this file, because the whole project is compiled with it. */
    merged_by_the_type_test?: 'free' | 'pro';
  }
}

export function planOf(req: IncomingMessage): 'free' | 'pro' {
  const auth = signedIn(req);
  // An SSO session has no claims.
  if (auth.type === 'sso') return 'free';
  const { claims } = auth;
  // @ts-expect-error -- what the application did not name is unknown
  claims['other'].length;
  // @ts-expect-error -- it has two values, and may be missing
  ((none: 'none') => none)(claims.merged_by_the_type_test);
  return claims.merged_by_the_type_test ?? 'free';
}

export const subject = (claims: Claims): string => claims.sub + claims.sid;
