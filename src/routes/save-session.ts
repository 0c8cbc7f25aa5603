import type { AuthenticationResponse } from '@workos-inc/node';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { SessionAuth } from '../auth/principal.js';
import { type AuthenticateRequest, timedOut } from '../auth/request-auth.js';
import { type AuthKitConfig, requestTimeoutOf } from '../config/index.js';
import type { SignInUrlOptions } from '../config/authkit-options.js';
import { Deadline, withDeadline } from '../deadline.js';
import { AuthKitError, unavailable } from '../errors.js';
import { safeReturnTo } from '../http/return-to.js';
import type { Cookies } from '../http/cookies.js';
import { isCrossSite, isOfUnknownOrigin, isSafeMethod } from '../http/request.js';
import { canSetCookie } from '../http/response.js';
import { isRecord, ownProperties, withoutUndefined } from '../plain-objects.js';
import type { Authenticator } from '../session/authenticate-session.js';
import type { Sessions } from '../session/create-and-end.js';
import type { Revocation } from '../session/revocation.js';
import { sessionIdentityIn } from '../session/sealed-session.js';
import type { VerifyAccessToken } from '../workos/access-token.js';
import type { Tokens } from '../workos/api-client.js';
import type { CompleteSignIn, SignInStart } from './complete-sign-in.js';
import { checkAttributes } from './sign-up.js';

/** Options of `saveSession()`. They have the same meaning as the options of `getSignInUrl()`. */
export type SaveSessionOptions = Pick<SignInUrlOptions, 'returnTo' | 'state' | 'attributes'>;

/** A session that `saveSession()` has created. */
export interface SavedSession {
  /** The new value of `req.auth`. */
  readonly auth: SessionAuth;
  /**
   * The page to redirect the user to. It is the `returnTo` from the result of `onSuccess`, from the options, or from
   * the instance's configuration, in this order of precedence. It has been validated.
   */
  readonly returnTo: string;
}

export type SaveSession = (
  req: IncomingMessage,
  res: ServerResponse,
  authenticationResponse: AuthenticationResponse,
  options?: SaveSessionOptions,
) => Promise<SavedSession | undefined>;

export interface SaveSessionDependencies {
  config: AuthKitConfig;
  cookies: Cookies;
  verify: VerifyAccessToken;
  revocation: Pick<Revocation, 'status'>;
  completeSignIn: CompleteSignIn;
  sessions: Pick<Sessions, 'create'>;
  authenticator: Pick<Authenticator, 'authenticate' | 'isLive'>;
  authenticateRequest: AuthenticateRequest;
}

/**
 * Creates `auth.saveSession()`, for apps that call WorkOS directly to authenticate users. It performs the same steps as
 * the callback route does after the code exchange.
 */
export function createSaveSession(dependencies: SaveSessionDependencies): SaveSession {
  const { config, cookies, completeSignIn, sessions, authenticator } = dependencies;
  return async (req, res, response, options = {}) => {
    const deadline = new Deadline(requestTimeoutOf(config));
    const tokens = tokensOf(response);
    assertRequest(req, res, config);
    await assertCurrent(tokens, dependencies);
    const transaction = startOf(ownProperties(options), config);
    const signedIn = await completeSignIn({ tokens, transaction, req, res, deadline });
    if (signedIn === 'answered') return undefined;
    const { session, earlierEnd } = signedIn;
    const sealed = await sessions.create(session, cookies.sessionValues(req), deadline, earlierEnd);
    cookies.setSession(req, res, sealed, () => authenticator.isLive(session));
    const auth = await signInRequest(req, res, sealed, deadline, dependencies);
    return { auth, returnTo: signedIn.returnTo };
  };
}

const USAGE = 'saveSession(req, res, authenticationResponse)';

/**
 * Returns the response from WorkOS, which contains the tokens.
 *
 * @throws {TypeError} if `response` is not the result of an authenticate call. The message says what was passed
 * instead.
 */
function tokensOf(response: unknown): Tokens {
  const problem = problemOf(response);
  if (problem !== undefined) throw new TypeError(`${USAGE}: ${problem}`);
  return response as Tokens;
}

function problemOf(response: unknown): string | undefined {
  if (typeof (Object(response) as { then?: unknown }).then === 'function')
    return 'the response is a promise: await it first';
  if (typeof response === 'string')
    return 'pass the whole response, and not a token or a sealed session of it';
  if (!isRecord(response) || response instanceof Error)
    return 'the response must be that of an authenticate call of the WorkOS SDK';
  if (typeof response['access_token'] === 'string')
    return 'the response is that of the HTTP API: pass the one of the WorkOS SDK, which has accessToken and refreshToken';
  if (isRecord(response['profile'])) return 'the response is one of the SSO API: mount sso() for that';
  const { accessToken, refreshToken, user } = ownProperties(response);
  const missing = [
    ...(isText(accessToken) ? [] : ['accessToken']),
    ...(isText(refreshToken) ? [] : ['refreshToken']),
    ...(isRecord(user) && isText(user['id']) ? [] : ['user']),
  ];
  if (missing.length === 0) return undefined;
  return `the response has no ${missing.join(', ')}. It must be that of an authenticate call of the WorkOS SDK, such as authenticateWithPassword()`;
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}

/**
 * Checks that the session cookie can be set. For a method such as POST, also checks that the request comes neither from
 * another site nor from an unknown origin. Without this second check, another site could sign the browser in to an
 * account of that site's choice (login CSRF, RFC 9700 section 4.7). The `SameSite` attribute of the session cookie does
 * not prevent this, because a sign-in does not need a cookie.
 *
 * GET requests are accepted from every site, because the user may follow a link to the app's handler from anywhere, for
 * example, from an email.
 *
 * @throws {TypeError} if the response has already been sent.
 * @throws {AuthKitError} `forbidden` if the method is not safe and the request comes from another site or an unknown
 * origin.
 */
function assertRequest(req: IncomingMessage, res: ServerResponse, config: AuthKitConfig): void {
  if (!canSetCookie(req, res))
    throw new TypeError(
      `${USAGE}: call it before the response is sent, so that the session cookie can be set`,
    );
  if (!isSafeMethod(req) && (isCrossSite(req, config) || isOfUnknownOrigin(req)))
    throw new AuthKitError('forbidden', 'a sign-in must be requested by a page of this application');
}

/**
 * Checks that the access token is currently valid and belongs to the user, and that its session has not ended. The
 * token comes from the application and not directly from WorkOS. Therefore, it is not accepted while the signing keys
 * of WorkOS are unavailable.
 *
 * @throws {AuthKitError} `upstream_unavailable` if the signing keys are unavailable; `invalid_request` if a check
 * fails.
 */
async function assertCurrent(
  { accessToken, user }: Tokens,
  { verify, revocation }: SaveSessionDependencies,
): Promise<void> {
  const verification = await verify(accessToken, true);
  if (verification.kind === 'unavailable') throw unavailable('the signing keys of WorkOS are unavailable');
  if (verification.kind === 'expired') throw refused('the access token has expired');
  if (verification.kind === 'invalid')
    throw refused(
      `the access token is not valid (${verification.reason}): it has to be of the WorkOS environment of authkit()`,
    );
  if (verification.claims.sub !== user.id) throw refused('the access token is not that of the user');
  if ((await revocation.status(sessionIdentityIn(verification.claims))) === 'revoked')
    throw refused('the session has ended');
}

function refused(problem: string): AuthKitError {
  return new AuthKitError('invalid_request', `${USAGE}: ${problem}`);
}

/** Builds the equivalent of a transaction for a sign-in that began in the application's code. */
function startOf({ returnTo, state, attributes }: SaveSessionOptions, config: AuthKitConfig): SignInStart {
  const checked = attributes && checkAttributes(attributes, config.signUp);
  const safe = returnTo === undefined ? undefined : safeReturnTo(returnTo, config.returnToRules);
  return ownProperties({
    from: 'app' as const,
    returnTo: safe ?? config.returnTo,
    // It is not known when the sign-in began, so the earliest possible time is used. For a user who was created after
    // this time, this is the first sign-in.
    issuedAt: config.now() - config.signInLifetime * 1000,
    ...withoutUndefined({ state, attributes: checked }),
  });
}

/**
 * Makes the new session the request's current session, and returns the new value of `req.auth`. The session cookie has
 * already been set on the response, and is set again if the session is refreshed.
 */
async function signInRequest(
  req: IncomingMessage,
  res: ServerResponse,
  sealed: string,
  deadline: Deadline,
  { authenticator, authenticateRequest }: SaveSessionDependencies,
): Promise<SessionAuth> {
  const requestAuth = await authenticateRequest(req, res);
  // If the user has changed during the sign-in, for example because `onSuccess` has updated the user, the session is
  // refreshed.
  const authenticating = authenticator.authenticate([sealed], () => canSetCookie(req, res));
  const result =
    authenticating instanceof Promise
      ? ((await withDeadline(deadline.left(), authenticating)) ?? timedOut())
      : authenticating;
  if (result.kind === 'anonymous' || result.kind === 'ended')
    throw new AuthKitError('unauthenticated', 'the session has ended while it was saved');
  if (result.kind === 'unavailable') {
    // The session's refresh token has been used, so the browser must receive the new tokens.
    if (Object.hasOwn(result, 'sealed')) requestAuth.setAuthentication(result);
    throw result.error;
  }
  requestAuth.setAuthentication(result);
  await requestAuth.loadUser();
  return requestAuth.auth() as SessionAuth;
}
