import type { IncomingMessage, ServerResponse } from 'node:http';
import type { SessionAuth } from '../auth/principal.js';
import { type AuthenticateRequest, timedOut } from '../auth/request-auth.js';
import { withDeadline } from '../deadline.js';
import { AuthKitError } from '../errors.js';
import type { Authentication, Authenticator } from '../session/authenticate-session.js';
import type { Session } from '../session/sealed-session.js';
import { isRequestedOrganizationRefused } from '../workos/error-answers.js';
import { UpstreamError } from '../workos/fetch.js';

/**
 * Refreshes the session of a request, for the same or a different organization. Resolves to the new value of
 * `req.auth`. If WorkOS has issued new tokens, the browser receives them even if the call fails afterwards.
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

/** Creates the function behind `auth.refreshSession()`, `auth.switchToOrganization()` and the switch route. */
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
    const milliseconds = requestAuth.deadline.left();
    const { result, error } = await refreshWithin(milliseconds, session, organizationId, authenticator);
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

/** Refreshes a session at WorkOS. If this takes longer than `milliseconds`, the outcome is `upstream_unavailable`. */
export async function refreshWithin(
  milliseconds: number,
  session: Session,
  organizationId: string | undefined,
  authenticator: RefreshRequestDependencies['authenticator'],
): Promise<RefreshOutcome> {
  const outcome = refresh(session, organizationId, authenticator);
  return (await withDeadline(milliseconds, outcome)) ?? { error: timedOut().error };
}

/**
 * Refreshes a session at WorkOS. If WorkOS refuses only the requested organization, the outcome is an error, such as
 * `forbidden`, and the session stays active in its current organization.
 */
async function refresh(
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
  // WorkOS has already exchanged the session's refresh token for tokens of the requested organization. This refresh
  // uses those tokens to return the session to its previous organization.
  return { ...(await refresh(session, undefined, authenticator)), error: refusal };
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
