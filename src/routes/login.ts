import type { ParameterSet } from '../config/authorization-parameters.js';
import type { Config } from '../config/index.js';
import type { SignUpAttributes } from '../config/options.js';
import { AUTHKIT, providerNamed } from '../config/providers.js';
import { AuthKitError } from '../errors.js';
import { navigationOnly } from '../http/error-response.js';
import type { Handler } from '../http/middleware.js';
import { lastSegment, query, single } from '../http/request.js';
import { redirect } from '../http/response.js';
import type { SignInFlow, StartSignIn } from './authorization-request.js';

export interface LoginDependencies<Options extends object> {
  config: Config & { readonly signIn: Options };
  parameters: ParameterSet<Options>;
  signIn: StartSignIn<Options>;
  /** Reads what somebody says of themselves, where a workos has a sign-up. */
  attributes?: (params: URLSearchParams) => SignUpAttributes | undefined;
}

/** What a route asks for by itself, whatever its query says. */
export interface LoginRoute<Options extends object> {
  /** Pinned for this route. */
  readonly fixed?: Options;
  /** Whether the last segment of the path names a provider. */
  readonly hasProvider?: true;
}

/**
 * `GET /login`, `/login/:provider`, `/signup`: off to WorkOS. Also the "initiate login URL" of the WorkOS dashboard.
 *
 * A transaction costs a cookie and a seal, so it is started for a page load only, or for a client that says nothing.
 */
export function createLogin<Options extends object>(
  parts: LoginDependencies<Options>,
  { fixed, hasProvider }: LoginRoute<Options> = {},
): Handler {
  const { config, parameters, signIn } = parts;
  return navigationOnly(async (req, res) => {
    const params = query(req);
    if (hasProvider) nameProvider(params, lastSegment(req));
    const asked = parameters.parse(params, { ...config.signIn, ...fixed }, config.login.params);
    checkProvider(asked, config);
    return redirect(res, await signIn(req, res, { ...asked, ...fixed }, signInFlowOf(params, parts)));
  });
}

/** `/login/google?…` is `/login?provider=google&…`; `/login/workos` is AuthKit, or a connection that goes with it. */
function nameProvider(params: URLSearchParams, name: string): void {
  const provider = providerNamed(name);
  if (provider === undefined) throw unknownProvider();
  params.delete('provider');
  if (provider !== AUTHKIT) params.set('provider', provider);
}

function checkProvider(asked: { provider?: string }, { login }: Config): void {
  if (asked.provider !== undefined && !login.providers.has(asked.provider)) throw unknownProvider();
}

function unknownProvider(): AuthKitError {
  return new AuthKitError('invalid_provider', 'there is no such provider here');
}

function signInFlowOf<Options extends object>(
  params: URLSearchParams,
  { config, attributes }: LoginDependencies<Options>,
): SignInFlow {
  const { params: taken } = config.login;
  const one = (name: string, ...names: string[]) =>
    taken.has(name) ? single(params, name, ...names) : undefined;
  // Without a token route no client is here to redeem a code, and a link that speaks of one changes nothing.
  const codeChallenge = config.routes.token ? one('codeChallenge', 'code_challenge') : undefined;
  if (codeChallenge !== undefined) checkMethod(params);
  const [returnTo, state] = [one('returnTo', 'return_to', 'redirectTo'), one('state')];
  const said = attributes?.(params);
  return {
    from: 'link',
    ...(returnTo === undefined ? {} : { returnTo }),
    ...(state === undefined ? {} : { state }),
    ...(codeChallenge === undefined ? {} : { codeChallenge }),
    ...(said === undefined ? {} : { attributes: said }),
  };
}

/** RFC 7636 section 4.3; `plain` is refused. */
function checkMethod(params: URLSearchParams): void {
  const method = single(params, 'codeChallengeMethod', 'code_challenge_method');
  if (method !== undefined && method !== 'S256')
    throw new AuthKitError('invalid_request', 'codeChallengeMethod must be S256');
}
