/** Cookie options after their checks, as `createCookies` takes them. */
export const COOKIE_CONFIG = {
  name: 'wos-session',
  domain: undefined,
  path: '/',
  sameSite: 'lax',
  partitioned: false,
  maxAge: 60,
  endsWithBrowser: false,
  secure: false,
} as const;
