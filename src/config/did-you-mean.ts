/** Maps unknown names to advice. Each text completes a message such as `unknown option "name": …`. */
export type Advice = Readonly<Record<string, string>>;

/**
 * Suggests what to write instead of an unknown name: the closest known name, or this package's name for an option of
 * another SDK.
 *
 * @param advice Advice for names that other SDKs use.
 * @param otherwise The clause to return if no known name is similar and there are too many known names to list.
 * @returns A clause such as `did you mean cookiePassword?`.
 */
export function suggestionFor(
  name: string,
  known: readonly string[],
  advice: Advice = {},
  otherwise = 'there is no such option; the README lists all of them under "Options"',
): string {
  const same = known.find((candidate) => normalize(candidate) === normalize(name));
  if (same !== undefined) return `did you mean ${same}?`;
  const named = Object.keys(advice).find((candidate) => normalize(candidate) === normalize(name));
  if (named !== undefined) return advice[named] ?? '';
  const close = closestName(name, known);
  if (close !== undefined) return `did you mean ${close}?`;
  const foreign = closestName(name, Object.keys(advice));
  if (foreign !== undefined) return advice[foreign] ?? '';
  return known.length <= MAX_LISTED ? `there are ${known.join(', ')}` : otherwise;
}

/** The maximum number of known names that a message lists. In a longer list, the right name would be hard to find. */
const MAX_LISTED = 11;

/** The maximum length of a misspelled name, in characters. No suggestion is made for a longer name. */
const MAX_LENGTH = 64;

/** Normalizes a name, so that `client_id`, `clientID` and `clientId` become equal. */
function normalize(name: string): string {
  return name.toLowerCase().replace(/[^a-z\d]/g, '');
}

/**
 * Returns the candidate that a misspelled name most likely means. Returns `undefined` if no candidate is similar
 * enough.
 */
export function closestName(name: string, candidates: readonly string[]): string | undefined {
  if (name.length > MAX_LENGTH) return undefined;
  const allowed = name.length < 6 ? 1 : name.length < 10 ? 2 : 3;
  let best: { candidate: string; distance: number } | undefined;
  for (const candidate of candidates) {
    const distance = editDistance(normalize(name), normalize(candidate));
    // Short names allow fewer changes: a four-letter name with three changes is a different name.
    const isClose = distance <= allowed && distance * 2 < candidate.length;
    if (isClose && (best === undefined || distance < best.distance)) best = { candidate, distance };
  }
  return best?.candidate;
}

/**
 * Returns the optimal string alignment distance between two strings: the minimum number of insertions, deletions,
 * substitutions, and swaps of adjacent characters that turn one into the other.
 */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= b.length; column += 1) {
      const isSame = a[row - 1] === b[column - 1];
      let cost = Math.min(
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (isSame ? 0 : 1),
      );
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1])
        cost = Math.min(cost, (beforeLast[column - 2] ?? 0) + 1);
      current.push(cost);
    }
    [beforeLast, last] = [last, current];
  }
  return last[b.length] ?? 0;
}

const BASE_URL = 'it is not needed, since the origin of redirectUri is that of the application';
const GUARD = 'it is not needed: protect routes with requireAuth()';
const LOGOUT_RETURN = 'pass returnTo to auth.signOut(), or in the query of the logout route';
const ALWAYS_PKCE = 'it is not needed, since every sign-in uses PKCE';
const AT_WORKOS = 'the length of sessions is set in the WorkOS dashboard, under Authentication > Sessions';
const NOT_OIDC = 'it is not needed, since WorkOS is the only identity provider';
const write = (text: string) => `write ${text}`;

/**
 * Advice for the option names of authkit-nextjs, authkit-remix, authkit-react-router, authkit-session,
 * express-openid-connect, express-session, passport, Auth.js and Clerk, and for this package's own option names at the
 * wrong nesting level.
 */
export const OPTION_ADVICE: Advice = {
  // authkit-nextjs, authkit-remix, authkit-react-router, authkit-session
  returnPathname: write('returnTo'),
  baseURL: BASE_URL,
  cookieName: write("cookie: { name: '…' }"),
  cookieDomain: write("cookie: { domain: '…' }"),
  cookieMaxAge: write('cookie: { maxAge: … }, in seconds'),
  cookieSameSite: write("cookie: { sameSite: 'lax' }"),
  cookieSecure: 'it is not needed, since cookies are Secure if redirectUri uses https',
  cookieHttpOnly: 'it is not needed, since cookies are always HttpOnly',
  cookiePath: write("cookie: { path: '/…' }"),
  middlewareAuth: GUARD,
  unauthenticatedPaths: GUARD,
  ensureSignedIn: GUARD,
  signUpPaths: write("routes: { signUp: '/signup' }"),
  eagerAuth: 'it is not needed, since the server renders with req.auth',
  handleAuth: 'it is not needed, since authkit() mounts the callback route',
  authkitMiddleware: 'it is not needed, since app.use(authkit()) is the middleware',
  withAuth: 'it is not needed, since req.auth is set on every request',
  storage: write('store'),
  port: write('apiPort'),
  debug: 'set DEBUG=authkit:* in the environment instead',
  // express-openid-connect
  secret: write('cookiePassword'),
  clientSecret: write('apiKey'),
  issuerBaseURL: `${NOT_OIDC}; a custom authentication domain is apiHostname`,
  authRequired: GUARD,
  errorOnRequiredAuth: "write requireAuth({ unauthenticated: 'respond' }) at the routes",
  attemptSilentLogin: "pass { prompt: 'none' } to auth.getSignInUrl(), as docs/sign-in.md shows",
  afterCallback: write('onSuccess'),
  authorizationParams: write('signIn'),
  idpLogout: 'it is not needed, since signing out always ends the session at WorkOS',
  auth0Logout: 'it is not needed, since signing out always ends the session at WorkOS',
  logoutParams: LOGOUT_RETURN,
  postLogoutRedirect: LOGOUT_RETURN,
  postLogoutRedirectUri: LOGOUT_RETURN,
  backchannelLogout: 'use auth.webhooks(), which ends a session here when it ends at WorkOS',
  getLoginState: 'pass state to auth.getSignInUrl()',
  httpTimeout: write('timeout, in milliseconds'),
  httpAgent: write('fetch, or set NODE_USE_ENV_PROXY=1, so that Node reads HTTP_PROXY and HTTPS_PROXY'),
  httpUserAgent: 'it is not needed',
  customFetch: write('fetch'),
  enableTelemetry: 'it is not needed, since this package sends no telemetry',
  idTokenSigningAlg: 'it is not needed, since WorkOS always signs access tokens with RS256',
  clientAuthMethod: NOT_OIDC,
  clientAssertionSigningKey: NOT_OIDC,
  clockTolerance: 'it is not needed, since a clock difference of up to a minute is tolerated',
  identityClaimFilter: 'it is not needed; req.auth.claims has the claims of the access token',
  pushedAuthorizationRequests: NOT_OIDC,
  tokenEndpointParams: NOT_OIDC,
  transactionCookie: 'it is not needed, since the attributes follow from cookie and redirectUri',
  legacySameSiteCookie: 'it is not needed, since current browsers support SameSite=None',
  discoveryCacheMaxAge: NOT_OIDC,
  rolling: AT_WORKOS,
  rollingDuration: AT_WORKOS,
  absoluteDuration: AT_WORKOS,
  sessionLifetime: AT_WORKOS,
  sessionTimeout: AT_WORKOS,
  // express-session, passport, Auth.js, Clerk, and other common names for the same options
  resave: 'it is not needed',
  saveUninitialized: 'it is not needed',
  sessionSecret: write('cookiePassword'),
  cookieSecret: write('cookiePassword'),
  sessionPassword: write('cookiePassword'),
  password: write('cookiePassword'),
  sessionStore: write('store'),
  redis: write('store: redisStore(client)'),
  callbackURL: write('redirectUri'),
  redirectURL: write('redirectUri'),
  successRedirect: write('returnTo'),
  successReturnToOrRedirect: write('returnTo'),
  failureRedirect: write('onError'),
  returnURL: write('returnTo'),
  redirectTo: write('returnTo'),
  afterSignInUrl: write('returnTo'),
  afterSignUpUrl: write('returnTo'),
  afterSignOutUrl: LOGOUT_RETURN,
  publishableKey: write('clientId'),
  secretKey: write('apiKey'),
  workosApiKey: write('apiKey'),
  workosClientId: write('clientId'),
  projectId: write('clientId'),
  callbacks: write('onSuccess'),
  events: write('onSuccess, onError, onSessionRefreshSuccess or onSessionRefreshError'),
  onLogin: write('onSuccess'),
  onSignIn: write('onSuccess'),
  onCallback: write('onSuccess'),
  onSessionRefresh: write('onSessionRefreshSuccess'),
  trustHost: BASE_URL,
  trustProxy: BASE_URL,
  pkce: ALWAYS_PKCE,
  enablePKCE: ALWAYS_PKCE,
  jwksUri: NOT_OIDC,
  scope: write("signIn: { providerScopes: ['…'] }"),
  scopes: write("signIn: { providerScopes: ['…'] }"),
  allowedOrigins: write(
    'returnToOrigins for addresses to return to, or trustedOrigins for origins whose pages may act for the user',
  ),
  authorizedParties: write('trustedOrigins'),
  corsOrigins: 'mount the cors package before authkit(), and write trustedOrigins',
  redirectOrigins: write('returnToOrigins'),
  webhookSecret: 'pass it to auth.webhooks({ secret })',
  baseApiUrl: write('apiHostname'),
  apiURL: write('apiHostname'),
  hostname: write('apiHostname'),
  https: write('apiHttps'),
  // This package's own option names at the wrong nesting level
  name: write("cookie: { name: '…' }"),
  domain: write("cookie: { domain: '…' }, or apiHostname for the address of WorkOS"),
  sameSite: write("cookie: { sameSite: 'lax' }"),
  maxAge: write('cookie: { maxAge } for the session cookie, or signIn: { maxAge } for the sign-in'),
  login: write("routes: { login: '/login' }"),
  loginPath: write("routes: { login: '/login' }"),
  loginUrl: write("routes: { login: '/login' }"),
  signInUrl: write("routes: { login: '/login' }"),
  callback: write("routes: { callback: '/callback' }"),
  callbackPath: write("routes: { callback: '/callback' }"),
  logout: write("routes: { logout: '/logout' }"),
  logoutPath: write("routes: { logout: '/logout' }"),
  signOut: write("routes: { logout: '/logout' }"),
  signUpUrl: write("routes: { signUp: '/signup' }"),
  token: write("routes: { token: '/token' }"),
  connect: write("routes: { connect: '/connect' }"),
  switchOrganization: write("routes: { switchOrganization: '/switch' }"),
  organizationId: write("signIn: { organizationId: 'org_…' }"),
  organization: write("signIn: { organizationId: 'org_…' }"),
  connectionId: write("signIn: { connectionId: 'conn_…' }"),
  connection: write("signIn: { connectionId: 'conn_…' }"),
  provider: write("signIn: { provider: '…' }"),
  screenHint: write("signIn: { screenHint: 'sign-up' }"),
  loginHint: write('signIn: { loginHint }'),
  domainHint: write('signIn: { domainHint }'),
  prompt: write("signIn: { prompt: 'login' }"),
  providerScopes: write("signIn: { providerScopes: ['…'] }"),
  providerQueryParams: write('signIn: { providerQueryParams }'),
  invitationToken: write('signIn: { invitationToken }'),
  claimNonce: write('claimToken, which is exchanged for a nonce at each sign-in'),
  roles: write('signUp: { roles }'),
  defaultRole: write('signUp: { defaultRole }'),
  maxBytes: write('sessionMemory: { maxBytes }'),
};

export const COOKIE_ADVICE: Advice = {
  secure: 'it is not needed, since cookies are Secure if redirectUri uses https',
  httpOnly: 'it is not needed, since cookies are always HttpOnly',
  password: 'write cookiePassword next to cookie, not inside it',
  secret: 'write cookiePassword next to cookie, not inside it',
  expires: 'write maxAge, in seconds',
  originalMaxAge: 'write maxAge, in seconds',
  signed: 'it is not needed, since sessions are encrypted and authenticated',
  transient: "write maxAge: 'session'",
  cookieName: 'write name',
};

export const ROUTE_ADVICE: Advice = {
  signIn: 'write login',
  signin: 'write login',
  signOut: 'write logout',
  register: 'write signUp',
  redirect: 'write callback',
  redirectUri: 'write redirectUri next to routes, not inside it',
  postLogoutRedirect: LOGOUT_RETURN,
  backchannelLogout: 'use auth.webhooks(), which ends a session here when it ends at WorkOS',
  webhooks: "write app.post('/webhooks', auth.webhooks())",
  switch: 'write switchOrganization',
  refresh: 'it is not needed, since any request refreshes an expired session',
};

const ASKED_EACH_TIME = 'pass it to auth.getSignInUrl(), since it differs from sign-in to sign-in';

const COMMON_SIGN_IN_ADVICE: Advice = {
  email: 'write loginHint',
  scope: 'write providerScopes',
  scopes: 'write providerScopes',
  state: ASKED_EACH_TIME,
  returnTo: ASKED_EACH_TIME,
  returnPathname: ASKED_EACH_TIME,
  redirectUri: 'write redirectUri next to signIn, not inside it',
  clientId: 'write clientId next to signIn, not inside it',
  responseType: 'it is not needed, since sign-ins always use the authorization code flow',
  codeChallenge: ALWAYS_PKCE,
};

export const SIGN_IN_ADVICE: Advice = {
  ...COMMON_SIGN_IN_ADVICE,
  organization: 'write organizationId',
  connection: 'write connectionId',
};

export const SSO_SIGN_IN_ADVICE: Advice = COMMON_SIGN_IN_ADVICE;

export const SIGN_UP_ADVICE: Advice = {
  allowedRoles: 'write roles',
  path: "write routes: { signUp: '/signup' } next to signUp, not inside it",
};

export const SESSION_MEMORY_ADVICE: Advice = {
  max: 'write maxBytes',
  size: 'write maxBytes',
  maxSize: 'write maxBytes',
  ttl: 'it is not needed, since sessions are remembered until their access token expires',
};

export const OF_AUTHKIT = 'it is an option of authkit(), not of sso()';

const sameAdvice = (text: string, names: readonly string[]) =>
  Object.fromEntries(names.map((name) => [name, text]));

/** The advice for `sso()`, which has fewer options than `authkit()` and other names for some sign-in options. */
export const SSO_ADVICE: Advice = {
  ...OPTION_ADVICE,
  organizationId: write("signIn: { organization: 'org_…' }"),
  organization: write("signIn: { organization: 'org_…' }"),
  connectionId: write("signIn: { connection: 'conn_…' }"),
  connection: write("signIn: { connection: 'conn_…' }"),
  events: write('onSuccess or onError'),
  maxAge: write('cookie: { maxAge }'),
  ...sameAdvice('it is not needed', ['idpLogout', 'auth0Logout']),
  ...sameAdvice(write('sessionLifetime, in seconds'), [
    'absoluteDuration',
    'rolling',
    'rollingDuration',
    'sessionTimeout',
  ]),
  ...sameAdvice(OF_AUTHKIT, [
    'attemptSilentLogin',
    'backchannelLogout',
    'claimNonce',
    'connect',
    'defaultRole',
    'invitationToken',
    'maxBytes',
    'onSessionRefresh',
    'prompt',
    'roles',
    'screenHint',
    'signUpPaths',
    'signUpUrl',
    'switchOrganization',
    'token',
    'webhookSecret',
  ]),
};

export const AUTHKIT_ADVICE: Advice = {
  ...OPTION_ADVICE,
  acceptIdPInitiated: 'it is an option of sso(), not of authkit()',
};
