import type { IncomingMessage, ServerResponse } from 'node:http';
import type { BearerVerifiers } from '../auth/bearer-token.js';
import { createAuthenticateRequest, createAuthenticate } from '../auth/request-auth.js';
import { type AuthRouter, createAuthRouter } from '../routes/router.js';
import { ssoParameters } from '../config/authorization-parameters.js';
import { softTimeoutOf } from '../config/index.js';
import type { SSOOptions, SSOSignInOptions, SSOSignInUrlOptions } from '../config/sso-options.js';
import { resolveSSOConfig, type SSOConfig } from '../config/sso.js';
import { AuthKitError } from '../errors.js';
import { createCookies } from '../http/cookies.js';
import { createErrorResponder } from '../http/error-response.js';
import { isRequest } from '../http/middleware.js';
import { createAuthorizationRequest, type StartSignIn } from '../routes/authorization-request.js';
import { createCallback } from '../routes/callback.js';
import { oncePerState } from '../routes/code-exchange.js';
import { createLogin } from '../routes/login.js';
import { createEndSession, createLogout, createSignOut } from '../routes/logout.js';
import { createRedirectLoopGuard } from '../routes/redirect-loop.js';
import { createWorkOSClient } from '../workos/client.js';
import { createIdPInitiated, createProfileExchange } from './code-exchange.js';
import { createSSOAuthenticator } from './session.js';

export type {
  SSOOptions,
  SSOSignInOptions,
  SSOSignInResult,
  SSOSignInUrlOptions,
} from '../config/sso-options.js';

/** A router with single sign-on by WorkOS's SSO API, which also gives every other request `req.auth` and `req.user`. */
export interface SSO extends AuthRouter {
  /** Ends the session here. WorkOS keeps no session for standalone SSO. */
  signOut: ReturnType<typeof createSignOut>;
  /** The session of a request that has no response, such as a WebSocket upgrade. */
  authenticate: ReturnType<typeof createAuthenticate>;
  /**
   * URL of the identity provider's sign-in, by way of WorkOS. Its transaction cookie is set on `res`, so it is good for
   * this browser only.
   *
   * @throws {AuthKitError} `invalid_request`, `invalid_provider`
   */
  getSignInUrl: (req: IncomingMessage, res: ServerResponse, options?: SSOSignInUrlOptions) => Promise<string>;
}

/**
 * Mounts standalone single sign-on: `GET /sso/login`, `GET /sso/callback`, `POST /sso/logout`, and the session on every
 * other request. Beside `authkit()` or alone; a guard does not care which of them somebody came in by.
 *
 * @throws {AuthKitError} `config_invalid`, with every problem of options and environment and its fix.
 * @see https://workos.com/docs/sso
 * @example
 * const app = express();
 * app.use(sso({ redirectUri: 'https://app.example.com/sso/callback' }));
 * app.get('/account', requireAuth(), (req, res) => { res.send(`Hello ${signedIn(req).user.email}`); });
 */
export function sso(options: SSOOptions = {}): SSO {
  if (isRequest(options))
    throw new AuthKitError('config_invalid', 'app.use(sso) passes the function itself: write app.use(sso())');
  const config = resolveSSOConfig(options, process.env);
  const cookies = createCookies({
    ...config.cookie,
    maxAge: Math.min(config.cookie.maxAge, config.sessionLifetime),
  });
  const { authenticator, sessions } = createSSOAuthenticator(config);
  const workos = createWorkOSClient(config);
  const answer = createErrorResponder(config);
  const softTimeout = softTimeoutOf(config);
  const authenticateRequest = createAuthenticateRequest({
    config,
    cookies,
    authenticator,
    respondWithError: answer,
    bearerVerifiers: NO_TOKENS,
    softTimeout: softTimeout,
  });
  const parameters = ssoParameters;
  const redirectLoop = createRedirectLoopGuard({ config, cookies, authenticateRequest });
  const signIn = withSelector(
    createAuthorizationRequest({
      config,
      cookies,
      redirectLoop,
      parameters,
      authorizationUrl: workos.ssoAuthorizationUrl,
    }),
    config,
  );
  const exchange = createProfileExchange(config, workos);
  const complete = oncePerState(config.now, ({ code, transaction: begun, req, res }) =>
    exchange({ code, begun, req, res }),
  );
  const unsolicited = createIdPInitiated({ config, workos, signIn, exchange });
  const ending = { config, cookies, sessions, authenticateRequest, workos, answer };
  const end = createEndSession(ending);
  const login = { config, parameters, signIn, answer };
  const handlers = {
    login: createLogin(login),
    provider: createLogin(login, { hasProvider: true }),
    callback: createCallback({
      config,
      cookies,
      authenticateRequest,
      exchangeOnce: complete,
      answer,
      redirectLoop: redirectLoop,
      unsolicited,
    }),
    logout: createLogout(ending, end),
  };
  return Object.assign(createAuthRouter(config, authenticateRequest, handlers), {
    signOut: createSignOut(config, end),
    authenticate: createAuthenticate({ config, cookies, authenticator }),
    getSignInUrl: fromCode(signIn),
  });
}

/** Tokens are of AuthKit's: here nobody has one. */
const NO_TOKENS: BearerVerifiers = {
  forSessions: () => ({ kind: 'refused', reason: 'single sign-on knows no tokens' }),
  forResource: () => () => ({ kind: 'refused', reason: 'single sign-on knows no tokens' }),
};

/** WorkOS has to be told whose identity provider it is. */
function withSelector(
  start: StartSignIn<SSOSignInOptions>,
  { signIn }: SSOConfig,
): StartSignIn<SSOSignInOptions> {
  return (req, res, options, flow) => {
    const { organization, connection, provider, domain } = { ...options, ...signIn };
    if ([organization, connection, provider, domain].every((value) => value === undefined))
      throw new AuthKitError('invalid_request', 'one of organization, connection and provider is needed');
    return start(req, res, options, flow);
  };
}

function fromCode(start: StartSignIn<SSOSignInOptions>): SSO['getSignInUrl'] {
  return async (req, res, { returnTo, state, redirectUri, ...options } = {}) =>
    start(req, res, options, {
      from: 'app',
      ...(returnTo === undefined ? {} : { returnTo }),
      ...(state === undefined ? {} : { state }),
      ...(redirectUri === undefined ? {} : { redirectUri }),
    });
}
