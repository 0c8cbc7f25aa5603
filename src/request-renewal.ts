import type { IncomingMessage, ServerResponse } from 'node:http';
import type { SessionAuth } from './auth.js';
import type { Authentication, Authenticator } from './authenticate.js';
import { AuthKitError, isUnfinished } from './errors.js';
import type { Session } from './session.js';
import { UpstreamError } from './upstream.js';
import type { AuthenticateRequest } from './visits.js';

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
