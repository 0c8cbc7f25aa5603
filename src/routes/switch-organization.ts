import type { IncomingMessage, ServerResponse } from 'node:http';
import { loginUrlForScript } from '../auth/login-url.js';
import type { SessionAuth } from '../auth/principal.js';
import type { AuthenticateRequest } from '../auth/request-auth.js';
import type { Config } from '../config/index.js';
import type { SignInUrlOptions } from '../config/options.js';
import { AuthKitError, isUnfinished } from '../errors.js';
import type { RespondWithError } from '../http/error-response.js';
import type { Handler, Request } from '../http/middleware.js';
import { sendPage } from '../http/pages.js';
import { header, isCrossSite, isScripted, query, single, target } from '../http/request.js';
import { json, redirect } from '../http/response.js';
import { safeReturnTo } from '../http/return-to.js';
import type { Authentication, Authenticator } from '../session/authenticate.js';
import type { Session } from '../session/sealed-session.js';
import { UpstreamError } from '../workos/fetch.js';

export interface SwitchDependencies {
  config: Config;
  authenticateRequest: AuthenticateRequest;
  renew: RefreshRequestSession;
  /** Starts a sign-in in the application's own words. */
  start: (req: IncomingMessage, res: ServerResponse, options: SignInUrlOptions) => Promise<string>;
}

export type SwitchToOrganization = (
  req: IncomingMessage,
  res: ServerResponse,
  organizationId: string,
) => Promise<SessionAuth | undefined>;

/** Where an organization demands its own sign-in, such as SSO or a second factor, a page goes there and comes back. */
export function createSwitchToOrganization(parts: SwitchDependencies): SwitchToOrganization {
  const { renew, start } = parts;
  return async (req, res, organizationId) => {
    try {
      return await renew(req, res, organizationId);
    } catch (error) {
      if (!(await isForSignIn(error, organizationId, req, res, parts)) || isScripted(req)) throw error;
      const returnTo = req.method === 'GET' ? target(req) : header(req, 'referer');
      redirect(
        res,
        await start(req, res, { organizationId, ...(returnTo === undefined ? {} : { returnTo }) }),
        303,
      );
      return undefined;
    }
  };
}

/** Whether signing in to the organization would help: not where that has been done, which would be a circle. */
async function isForSignIn(
  error: unknown,
  organizationId: string,
  req: IncomingMessage,
  res: ServerResponse,
  { authenticateRequest }: SwitchDependencies,
): Promise<boolean> {
  if (!(error instanceof AuthKitError && isUnfinished(error.code))) return false;
  const now = (await authenticateRequest(req, res)).auth();
  return !(now.type === 'session' && now.organizationId === organizationId);
}

/**
 * `POST` with `organizationId` and `returnTo`, in the query, or in a body that the application has parsed before.
 * A form ends at `returnTo`, a script gets JSON.
 */
export function createSwitchRoute(parts: SwitchDependencies, answer: RespondWithError): Handler {
  const { config, renew } = parts;
  return async (req, res) => {
    let wanted: Wanted | undefined;
    try {
      wanted = wantedOf(req, config);
      await renew(req, res, wanted.organizationId);
      if (isScripted(req)) return json(res, 200, { organizationId: wanted.organizationId });
      return redirect(res, wanted.returnTo, 303);
    } catch (error) {
      if (!(error instanceof AuthKitError)) throw error;
      if (wanted && (await isForSignIn(error, wanted.organizationId, req, res, parts)))
        return signInFirst(error, wanted, parts, answer)(req, res);
      return answer(error, req, res);
    }
  };
}

interface Wanted {
  readonly organizationId: string;
  readonly returnTo: string;
}

/** @throws {AuthKitError} `forbidden` for another site, `invalid_request` without an organization. */
function wantedOf(req: Request, config: Config): Wanted {
  const { returnTo, returnToRules } = config;
  if (isCrossSite(req, config))
    throw new AuthKitError('forbidden', 'a switch has to come from this application');
  const organizationId = field(req, 'organizationId', 'organization_id');
  if (organizationId === undefined || !/^[\w-]{1,128}$/.test(organizationId))
    throw new AuthKitError('invalid_request', 'organizationId must name an organization');
  const back = safeReturnTo(field(req, 'returnTo', 'return_to'), returnToRules);
  return { organizationId, returnTo: back ?? returnTo };
}

/**
 * The organization wants its own sign-in. A form gets a page and no redirect: `form-action 'self'`, as helmet sets
 * it, would block its way to WorkOS.
 */
function signInFirst(
  error: AuthKitError,
  wanted: Wanted,
  parts: SwitchDependencies,
  answer: RespondWithError,
): Handler {
  return async (req, res) => {
    if (isScripted(req)) {
      return answer(error, req, res, loginUrlForScript(req, parts.config, { ...wanted }));
    }
    const url = await parts.start(req, res, wanted);
    return sendPage(res, 200, {
      title: 'One more step',
      text: 'This organization asks you to sign in its own way.',
      refresh: url,
      link: { href: url, label: 'Continue' },
    });
  };
}

/** One value, from the query or a parsed body: a form cannot choose its query. */
function field(req: Request, ...names: readonly string[]): string | undefined {
  const { body } = req as { body?: unknown };
  const fields = typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
  const sent = names.map((name) => (Object.hasOwn(fields, name) ? fields[name] : undefined));
  const found = sent.find((value) => typeof value === 'string' && value !== '') as string | undefined;
  return single(query(req), ...names) ?? found;
}

/**
 * Renews the session of a request, for the same or another organization. Tokens that WorkOS has rotated reach the
 * browser even if the call then fails.
 *
 * @throws {AuthKitError} `unauthenticated`, `upstream_unavailable`, what WorkOS wants first, or `forbidden` where it
 * keeps the person out of that organization.
 */
export type RefreshRequestSession = (
  req: IncomingMessage,
  res: ServerResponse,
  organizationId: string | undefined,
) => Promise<SessionAuth>;

export interface RefreshRequestDependencies {
  authenticator: Authenticator;
  authenticateRequest: AuthenticateRequest;
}

export function createRefreshRequestSession({
  authenticator,
  authenticateRequest,
}: RefreshRequestDependencies): RefreshRequestSession {
  return async (req, res, organizationId) => {
    const requestAuth = await authenticateRequest(req, res);
    await requestAuth.whenAuthenticated();
    const session = requestAuth.session();
    if (!session) throw new AuthKitError('unauthenticated', 'nobody is signed in');
    const { result, error } = await ask(session, organizationId, authenticator);
    if (result) requestAuth.setAuthentication(result);
    if (error) throw error;
    const auth = requestAuth.auth();
    if (auth.type !== 'session') throw new AuthKitError('unauthenticated', 'the session has ended');
    if (organizationId !== undefined && auth.organizationId !== organizationId) {
      throw new AuthKitError('forbidden', 'WorkOS gave tokens of another organization');
    }
    return auth;
  };
}

/** What becomes of the session, if anything, and why the caller does not get what was asked for. */
interface Outcome {
  readonly result?: Authentication;
  readonly error?: AuthKitError;
}

async function ask(
  session: Session,
  organizationId: string | undefined,
  authenticator: Authenticator,
): Promise<Outcome> {
  const result = await authenticator.refresh(session, organizationId);
  if (result.kind === 'unavailable') {
    const error =
      organizationId !== undefined && isAboutOrganization(result.error)
        ? keptOut(result.error)
        : result.error;
    return result.sealed === undefined ? { error } : { result, error };
  }
  if (result.kind !== 'ended') return { result };
  // Another organization's demands say nothing about the session in this one.
  const isOfThis = organizationId === undefined || !isUnfinished(result.error.code);
  return isOfThis ? { result, error: result.error } : { error: result.error };
}

/** Not our key (401), not now (408, 429, 5xx): the rest of what WorkOS will not do is about what was asked. */
function isAboutOrganization({ cause }: AuthKitError): boolean {
  const status = cause instanceof UpstreamError ? cause.status : undefined;
  return status !== undefined && [400, 403, 404, 422].includes(status);
}

function keptOut(cause: AuthKitError): AuthKitError {
  return new AuthKitError('forbidden', 'WorkOS does not let this person into that organization', { cause });
}
