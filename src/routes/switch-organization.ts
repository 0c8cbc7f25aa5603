import type { IncomingMessage, ServerResponse } from 'node:http';
import { loginUrlForScript } from '../auth/login-url.js';
import type { SessionAuth } from '../auth/principal.js';
import { type AuthenticateRequest, timedOut } from '../auth/request-auth.js';
import type { Config } from '../config/index.js';
import type { SignInUrlOptions } from '../config/authkit-options.js';
import { withDeadline } from '../deadline.js';
import { AuthKitError, isUnfinished } from '../errors.js';
import type { RespondWithError } from '../http/error-response.js';
import type { Handler, Outcome, Request, Response } from '../http/handler-to-middleware.js';
import { sendPage } from '../http/pages.js';
import { header, isCrossSite, isScripted, query, single, target } from '../http/request.js';
import { json, redirect } from '../http/response.js';
import { safeReturnTo } from '../http/return-to.js';
import type { Authentication, Authenticator } from '../session/authenticate-session.js';
import type { Session } from '../session/sealed-session.js';
import { isRequestedOrganizationRefused } from '../workos/error-answers.js';
import { UpstreamError } from '../workos/fetch.js';

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
  if (organizationId === undefined || !/^[\w-]{1,128}$/.test(organizationId))
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

/**
 * Refreshes the session of a request, for the same or a different organization. If WorkOS has issued new tokens, the
 * browser receives them even if the call fails afterwards.
 *
 * @throws {AuthKitError} `unauthenticated` if there is no session, or if it has ended; `forbidden` if the user has no
 * access to the organization; `upstream_unavailable` if WorkOS or the store is unavailable. If WorkOS requires a
 * further step from the user, the error's code names that step.
 */
export type RefreshRequestSession = (
  req: IncomingMessage,
  res: ServerResponse,
  organizationId: string | undefined,
) => Promise<SessionAuth>;

export interface RefreshRequestDependencies {
  authenticator: Pick<Authenticator, 'refresh'>;
  authenticateRequest: AuthenticateRequest;
}

export function createRefreshRequestSession({
  authenticator,
  authenticateRequest,
}: RefreshRequestDependencies): RefreshRequestSession {
  return async (req, res, organizationId) => {
    const requestAuth = await authenticateRequest(req, res);
    const authenticated = await requestAuth.whenAuthenticated();
    const session = requestAuth.session();
    if (!session) {
      if (authenticated.kind === 'unavailable') throw authenticated.error;
      throw new AuthKitError('unauthenticated', 'the request has no session to refresh');
    }
    const outcome = refreshSession(session, organizationId, authenticator);
    const { result, error } = (await withDeadline(requestAuth.deadline.left(), outcome)) ?? {
      error: timedOut().error,
    };
    if (result) requestAuth.setAuthentication(result);
    if (error) throw error;
    const auth = requestAuth.auth();
    if (auth.type !== 'session') throw new AuthKitError('unauthenticated', 'the session has ended');
    return auth;
  };
}

/**
 * The outcome of a refresh: the new state of the session, if it has changed, and the error to throw, if there is one.
 */
interface RefreshOutcome {
  readonly result?: Authentication;
  readonly error?: AuthKitError;
}

/**
 * Refreshes a session at WorkOS. If WorkOS refuses only the requested organization, the outcome is an error, such as
 * `forbidden`, and the session stays active in its current organization.
 */
export async function refreshSession(
  session: Session,
  organizationId: string | undefined,
  authenticator: RefreshRequestDependencies['authenticator'],
): Promise<RefreshOutcome> {
  const result = await authenticator.refresh(session, organizationId);
  if (result.kind === 'anonymous') return { result };
  if (result.kind === 'authenticated')
    return organizationId === undefined || result.claims.org_id === organizationId
      ? { result }
      : { result, error: new AuthKitError('forbidden', 'WorkOS returned tokens for another organization') };
  const { error } = result;
  const isSpent = result.kind === 'ended' ? result.isSpent : Object.hasOwn(result, 'sealed');
  if (!isRefusedOrganization(result, organizationId))
    return result.kind === 'ended' || isSpent ? { result, error } : { error };
  const isForbidden = result.kind === 'unavailable' || error.code === 'organization_unavailable';
  const refusal = isForbidden ? organizationForbidden(error) : error;
  if (!isSpent) return { error: refusal };
  // WorkOS has already issued tokens for the requested organization, so the session's own tokens cannot be refreshed
  // again.
  return { ...(await refreshSession(session, undefined, authenticator)), error: refusal };
}

/** Whether WorkOS refused the requested organization, and not the session. */
function isRefusedOrganization(
  { kind, error }: Extract<Authentication, { kind: 'unavailable' | 'ended' }>,
  organizationId: string | undefined,
): boolean {
  if (organizationId === undefined) return false;
  if (kind === 'ended') return error.code !== 'unauthenticated';
  return error.cause instanceof UpstreamError && isRequestedOrganizationRefused(error.cause);
}

function organizationForbidden(cause: AuthKitError): AuthKitError {
  return new AuthKitError('forbidden', 'WorkOS does not let this user into that organization', { cause });
}
