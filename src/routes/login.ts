import { canParse } from '../url-can-parse.js';
import type { ParameterSet } from '../config/authorization-parameters.js';
import type { Config } from '../config/index.js';
import type { SignInFor } from '../config/login-and-sign-up.js';
import type { SignUpAttributes } from '../config/authkit-options.js';
import { AUTHKIT, providerNamed } from '../config/provider-names.js';
import { AuthKitError } from '../errors.js';
import { navigationOnly } from '../http/error-response.js';
import type { Handler, Request } from '../http/handler-to-middleware.js';
import { lastSegment, query, single, target } from '../http/request.js';
import { redirect } from '../http/response.js';
import { ownProperties, withoutUndefined } from '../plain-objects.js';
import type { SignInFlow, StartSignIn } from './authorization-request.js';

export interface LoginDependencies<Options extends object> {
  config: Config & { readonly signIn: SignInFor<Options> };
  parameters: ParameterSet<Options>;
  signIn: StartSignIn<Options>;
  /**
   * Returns the sign-up attributes in a link's query, or `undefined` if there are none. This function is set only if
   * the instance supports sign-up.
   */
  attributes?: (params: URLSearchParams) => SignUpAttributes | undefined;
}

/** Settings of a login route that the query string of a request cannot change. */
export interface LoginRoute<Options extends object> {
  readonly fixed?: Options;
  /** Whether the last segment of the path names a provider. */
  readonly hasProvider?: true;
}

/**
 * Creates the handler of `GET /login`, `GET /login/:provider` or `GET /signup`, which redirects to WorkOS. The URL of
 * `/login` can also be set as the "initiate login URL" in the WorkOS dashboard.
 *
 * Starting a sign-in sets a cookie, so prefetches and requests from scripts are refused.
 */
export function createLogin<Options extends object>(
  dependencies: LoginDependencies<Options>,
  { fixed, hasProvider }: LoginRoute<Options> = {},
): Handler {
  const { config, parameters, signIn } = dependencies;
  return navigationOnly(async (req, res) => {
    const elsewhere = loopbackLocation(req, config);
    if (elsewhere !== undefined) return redirect(res, elsewhere);
    const params = query(req);
    if (hasProvider) setProvider(params, lastSegment(req));
    const pinned = ownProperties({ ...(await config.signIn(req)), ...fixed });
    const asked = parameters.parse(params, pinned, config.login.params);
    checkProvider(asked, config);
    return redirect(
      res,
      await signIn(req, res, ownProperties({ ...asked, ...fixed }), signInFlowOf(params, dependencies)),
    );
  });
}

/** The names of the local machine, as `URL.hostname` returns them. */
const LOOPBACK: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]']);

/**
 * Returns the URL of this request with the host name of the redirect URI, if the request uses a different name for the
 * local machine, such as `127.0.0.1` instead of `localhost`. To a browser, these are different hosts, so it would not
 * send the transaction cookie to the callback. Returns `undefined` if no redirect is needed.
 *
 * If the port in the `Host` header differs from that of the redirect URI, the browser may be using a different host,
 * such as that of a proxy. In this case, the result is `undefined` too. The origin of the result always comes from the
 * configuration, never from the `Host` header.
 */
function loopbackLocation(req: Request, { redirectUri }: Config): string | undefined {
  const { host } = req.headers;
  const to = new URL(redirectUri);
  if (host === undefined || !LOOPBACK.has(to.hostname)) return undefined;
  const from = canParse(`${to.protocol}//${host}`) ? new URL(`${to.protocol}//${host}`) : undefined;
  const isSameMachine = from !== undefined && LOOPBACK.has(from.hostname) && from.port === to.port;
  if (!isSameMachine || from.hostname === to.hostname || !target(req).startsWith('/')) return undefined;
  return to.origin + target(req);
}

/**
 * Sets the provider that the path names: `/login/google?…` is equivalent to `/login?provider=google&…`. `/login/workos`
 * sets no provider, so the sign-in goes to AuthKit or to the connection that the query names.
 */
function setProvider(params: URLSearchParams, name: string): void {
  const provider = providerNamed(name);
  if (provider === undefined) throw unknownProvider();
  params.delete('provider');
  if (provider !== AUTHKIT) params.set('provider', provider);
}

function checkProvider(asked: { provider?: string }, { login }: Config): void {
  if (asked.provider !== undefined && !login.providers.has(asked.provider)) throw unknownProvider();
}

function unknownProvider(): AuthKitError {
  return new AuthKitError('invalid_provider', 'this application does not offer the provider');
}

function signInFlowOf<Options extends object>(
  params: URLSearchParams,
  { config, attributes }: LoginDependencies<Options>,
): SignInFlow {
  const { params: taken } = config.login;
  const one = (name: string, ...names: string[]) =>
    taken.has(name) ? single(params, name, ...names) : undefined;
  // Without a token route, a client could not redeem a code, so a challenge in a link is ignored.
  const codeChallenge = config.routes.token ? one('codeChallenge', 'code_challenge') : undefined;
  if (codeChallenge !== undefined) checkMethod(params);
  const [returnTo, state] = [one('returnTo', 'return_to', 'redirectTo'), one('state')];
  const given = attributes?.(params);
  return {
    from: 'link',
    ...withoutUndefined({ returnTo, state, codeChallenge, attributes: given }),
  };
}

/** Throws for any challenge method other than `S256`, such as `plain` (RFC 7636 section 4.3). */
function checkMethod(params: URLSearchParams): void {
  const method = single(params, 'codeChallengeMethod', 'code_challenge_method');
  if (method !== undefined && method !== 'S256')
    throw new AuthKitError('invalid_request', 'codeChallengeMethod must be S256');
}
