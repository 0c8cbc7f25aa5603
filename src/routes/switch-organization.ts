import type { IncomingMessage, ServerResponse } from 'node:http';
import { loginUrlForScript } from '../auth/login-url.js';
import type { SessionAuth } from '../auth/principal.js';
import type { AuthenticateRequest } from '../auth/request-auth.js';
import { OBJECT_ID } from '../config/authorization-parameters.js';
import type { Config } from '../config/index.js';
import type { SignInUrlOptions } from '../config/authkit-options.js';
import { AuthKitError, isUnfinished } from '../errors.js';
import type { RespondWithError } from '../http/error-response.js';
import type { Handler, Outcome, Request, Response } from '../http/handler-to-middleware.js';
import { sendPage } from '../http/pages.js';
import { header, isCrossSite, isScripted, query, single, target } from '../http/request.js';
import { json, redirect } from '../http/response.js';
import { safeReturnTo } from '../http/return-to.js';
import type { RefreshRequestSession } from './refresh-session.js';

export interface SwitchDependencies {
  config: Config;
  authenticateRequest: AuthenticateRequest;
  refreshRequestSession: RefreshRequestSession;
  /** The `auth.getSignInUrl()` function. */
  getSignInUrl: (req: IncomingMessage, res: ServerResponse, options: SignInUrlOptions) => Promise<string>;
}

export type SwitchToOrganization = (
  req: IncomingMessage,
  res: ServerResponse,
  organizationId: string,
) => Promise<SessionAuth | undefined>;

/**
 * Creates `auth.switchToOrganization()`. If the organization requires a separate sign-in, such as SSO, a page load or a
 * form submission is redirected to that sign-in. If a script (`fetch`) sent the request, the function throws the error
 * instead.
 *
 * @returns A function that resolves to the new value of `req.auth`, or to `undefined` if it has sent the redirect.
 */
export function createSwitchToOrganization(dependencies: SwitchDependencies): SwitchToOrganization {
  const { refreshRequestSession, getSignInUrl } = dependencies;
  return async (req, res, organizationId) => {
    try {
      return await refreshRequestSession(req, res, organizationId);
    } catch (error) {
      if (isScripted(req) || !(await canSignInTo(organizationId, error, req, res, dependencies))) throw error;
      const returnTo = req.method === 'GET' ? target(req) : header(req, 'referer');
      const options = { organizationId, ...(returnTo === undefined ? {} : { returnTo }) };
      redirect(res, await getSignInUrl(req, res, options), 303);
      return undefined;
    }
  };
}

/**
 * Whether signing in to the organization can help after a failed switch. It can help if WorkOS requires a further step.
 * It cannot help if the session is already in that organization: a new sign-in could then cause a redirect loop.
 */
async function canSignInTo(
  organizationId: string,
  error: unknown,
  req: IncomingMessage,
  res: ServerResponse,
  { authenticateRequest }: SwitchDependencies,
): Promise<boolean> {
  if (!(error instanceof AuthKitError && isUnfinished(error.code))) return false;
  const auth = (await authenticateRequest(req, res)).auth();
  return !(auth.type === 'session' && auth.organizationId === organizationId);
}

/**
 * Creates the handler of the `POST` route that switches the organization. It reads `organizationId` and `returnTo` from
 * the query, or from a body that the application has parsed. A form submission is redirected to `returnTo`. A script's
 * request gets a JSON response.
 */
export function createSwitchRoute(
  dependencies: SwitchDependencies,
  respondWithError: RespondWithError,
): Handler {
  const { config, refreshRequestSession } = dependencies;
  return async (req, res) => {
    const parameters = parametersOf(req, config);
    const { organizationId, returnTo } = parameters;
    try {
      await refreshRequestSession(req, res, organizationId);
    } catch (error) {
      if (!(error instanceof AuthKitError)) throw error;
      if (!(await canSignInTo(organizationId, error, req, res, dependencies))) throw error;
      return isScripted(req)
        ? respondWithError(error, req, res, loginUrlForScript(req, config, { ...parameters }))
        : sendSignInPage(req, res, parameters, dependencies);
    }
    return isScripted(req) ? json(res, 200, { organizationId }) : redirect(res, returnTo, 303);
  };
}

interface SwitchParameters {
  readonly organizationId: string;
  readonly returnTo: string;
}

/**
 * Reads and validates the parameters of the switch route.
 *
 * @throws {AuthKitError} `forbidden` if another site sent the request; `invalid_request` if the organization ID is
 * missing or invalid.
 */
function parametersOf(req: Request, config: Config): SwitchParameters {
  const { returnTo, returnToRules } = config;
  if (isCrossSite(req, config))
    throw new AuthKitError('forbidden', 'a switch must be requested by a page of this application');
  const organizationId = parameter(req, 'organizationId', 'organization_id');
  if (organizationId === undefined || !OBJECT_ID.test(organizationId))
    throw new AuthKitError('invalid_request', 'organizationId must be the ID of an organization');
  const safe = safeReturnTo(parameter(req, 'returnTo', 'return_to'), returnToRules);
  return { organizationId, returnTo: safe ?? returnTo };
}

/**
 * Reads a parameter from the query or, if the query does not contain it, from a parsed body. The query takes
 * precedence, because form fields cannot change it.
 */
function parameter(req: Request, ...names: readonly string[]): string | undefined {
  const { body } = req as { body?: unknown };
  const fields = typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
  const values = names.map((name) => (Object.hasOwn(fields, name) ? fields[name] : undefined));
  const inBody = values.find((value) => typeof value === 'string' && value !== '') as string | undefined;
  return single(query(req), ...names) ?? inBody;
}

/**
 * Sends a page that leads to the sign-in. After a form submission, helmet's `form-action 'self'` policy would block a
 * redirect to the sign-in.
 */
async function sendSignInPage(
  req: Request,
  res: Response,
  parameters: SwitchParameters,
  { config, getSignInUrl }: SwitchDependencies,
): Promise<Outcome> {
  const url = await getSignInUrl(req, res, parameters);
  const link = { href: url, label: 'continue' } as const;
  return sendPage(req, res, { name: 'organizationSignIn', refresh: url, link }, config);
}
