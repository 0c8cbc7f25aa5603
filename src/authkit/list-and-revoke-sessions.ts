import type { WorkOS } from '@workos-inc/node';
import type { IncomingMessage } from 'node:http';
import type { Auth } from '../auth/principal.js';
import { withDeadline } from '../deadline.js';
import { AuthKitError, unavailable } from '../errors.js';
import type { Revocation } from '../session/revocation.js';
import type { ApiResult, WorkOSClient } from '../workos/api-client.js';

/** A user's session at WorkOS. */
export interface ActiveSession {
  readonly id: string;
  /** Whether the request was sent with this session. */
  readonly isCurrent: boolean;
  /** The time at which the session began, in ISO 8601 format. */
  readonly createdAt: string;
  /** The time at which the session expires, in ISO 8601 format. */
  readonly expiresAt: string;
  readonly userAgent: string | null;
  readonly ipAddress: string | null;
  readonly organizationId: string | undefined;
  /** WorkOS's name for the method that the user signed in with, such as `password` or `sso`. */
  readonly authMethod: string;
  /** The member of your WorkOS team who is impersonating the user, if any. */
  readonly impersonator: { readonly email: string; readonly reason: string | null } | undefined;
}

/** The methods of an instance that list and end sessions. */
export interface Management {
  /**
   * Returns the active sessions that the user of this request has at WorkOS. Before you end a session whose ID comes
   * from a form, check that the ID is in this list. Otherwise, a user could end a different user's session.
   *
   * @throws {AuthKitError} `unauthenticated` if the request has no `authkit()` session; `upstream_unavailable` if
   * WorkOS is unavailable.
   * @see https://workos.com/docs/reference/authkit/session/list
   * @example
   * app.post('/devices/end', requireAuth(), async (req, res) => {
   *   const devices = await auth.listSessions(req);
   *   const device = devices.find(({ id }) => id === req.body.id);
   *   if (device) await auth.revokeSession(device.id);
   *   res.redirect(303, '/devices');
   * });
   */
  listSessions: (req: IncomingMessage) => Promise<readonly ActiveSession[]>;
  /**
   * Ends one session, both in this application and at WorkOS. In this process, the session ends immediately. With a
   * store, it ends in every other process within half a second.
   *
   * @param sessionId The session ID, `session_…`, which is the `sid` claim of the session's access tokens.
   * @throws {AuthKitError} `upstream_unavailable` if WorkOS or the store is unavailable. In that case, call the method
   * again.
   */
  revokeSession: (sessionId: string) => Promise<void>;
  /**
   * Ends every session of a user, in the same way as `revokeSession`. The user can sign in again afterwards.
   *
   * @param userId The user ID, `user_…`.
   * @throws {AuthKitError} `upstream_unavailable` if WorkOS or the store is unavailable. In that case, call the method
   * again.
   */
  revokeUserSessions: (userId: string) => Promise<void>;
}

export interface ManagementDependencies {
  workos: Pick<WorkOSClient, 'call'>;
  revocation: Revocation;
  /** Returns the current time by the clock of WorkOS, in milliseconds since the epoch. */
  now: () => number;
  /** How long listing a user's sessions may take, in milliseconds. */
  requestTimeout: number;
  authOf: (req: IncomingMessage) => Promise<Auth>;
}

type Users = WorkOS['userManagement'];

const PAGE_SIZE = 100;

/** The maximum number of pages of sessions to read, in case the list never ends. */
const MAX_PAGES = 10;

export function createManagement(dependencies: ManagementDependencies): Management {
  const { workos, revocation, now, requestTimeout, authOf } = dependencies;
  const list = async (userId: string) => {
    const call = workos.call(({ userManagement }) => activeSessions(userManagement, userId));
    const listed = await withDeadline(requestTimeout, call);
    return valueOr(
      [],
      listed ?? { kind: 'unavailable', error: unavailable('WorkOS did not answer in time') },
    );
  };
  const revoke = async (sessionId: string) => {
    const isShared = await revocation.endSession(sessionId);
    // If WorkOS refuses this call, the session has already ended, so the refusal is not an error.
    const revoked = await workos.call(({ userManagement }) => userManagement.revokeSession({ sessionId }));
    valueOr(undefined, revoked);
    if (!isShared) throw notShared();
  };
  return {
    async listSessions(req) {
      const auth = await authOf(req);
      if (auth.type !== 'session')
        throw new AuthKitError('unauthenticated', 'the request has no session of authkit()');
      const { sessionId, user } = auth;
      const sessions = (await list(user.id)).map((session) => toActiveSession(session, sessionId));
      return sessions.filter(({ id }) => !isEnded(id, user.id, revocation));
    },
    async revokeSession(sessionId) {
      if (typeof sessionId !== 'string' || sessionId === '')
        throw new AuthKitError('invalid_request', 'revokeSession(sessionId) needs the ID of a session');
      await revoke(sessionId);
    },
    async revokeUserSessions(userId) {
      if (typeof userId !== 'string' || userId === '')
        throw new AuthKitError('invalid_request', 'revokeUserSessions(userId) needs the ID of a user');
      const isShared = await revocation.endUser(userId, now());
      // `endUser` does not affect tokens that were issued in the current second, because they may come from a new
      // sign-in. Therefore, the sessions are also ended by ID.
      await Promise.all((await list(userId)).map(({ id }) => revoke(id)));
      if (!isShared) throw notShared();
    },
  };
}

function isEnded(sessionId: string, userId: string, revocation: Revocation): boolean {
  return revocation.isEndedHere({ sessionId, userId, issuedAt: Infinity });
}

function notShared(): AuthKitError {
  return unavailable('the store is unavailable, so the other processes have not been told');
}

/**
 * Returns the value of a result, or `otherwise` if WorkOS refused the call, for example because it does not know the
 * ID. Throws if WorkOS is unavailable.
 */
function valueOr<T>(otherwise: T, result: ApiResult<T>): T {
  if (result.kind === 'unavailable') throw result.error;
  return result.kind === 'ok' ? result.value : otherwise;
}

async function activeSessions(users: Users, userId: string) {
  type Listed = Awaited<ReturnType<Users['listSessions']>>['data'];
  const all: Listed = [];
  let after: string | undefined;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const found = await users.listSessions(userId, {
      limit: PAGE_SIZE,
      ...(after === undefined ? {} : { after }),
    });
    all.push(...found.data.filter(({ status }) => status === 'active'));
    after = found.listMetadata.after ?? undefined;
    if (after === undefined) break;
  }
  return all;
}

function toActiveSession(
  session: Awaited<ReturnType<typeof activeSessions>>[number],
  currentId: string,
): ActiveSession {
  const { id, createdAt, expiresAt, userAgent, ipAddress, organizationId, authMethod, impersonator } =
    session;
  return {
    id,
    isCurrent: id === currentId,
    createdAt,
    expiresAt,
    userAgent,
    ipAddress,
    organizationId,
    authMethod,
    impersonator,
  };
}
