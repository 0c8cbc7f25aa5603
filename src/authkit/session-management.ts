import type { WorkOS } from '@workos-inc/node';
import type { IncomingMessage } from 'node:http';
import type { Auth } from '../auth/principal.js';
import { AuthKitError, unavailable } from '../errors.js';
import type { Revocation } from '../session/revocation.js';
import type { ApiResult, WorkOSClient } from '../workos/client.js';

/** One place where a person is signed in. */
export interface ActiveSession {
  readonly id: string;
  /** Whether it is the session of the request that asked. */
  readonly isCurrent: boolean;
  /** ISO 8601, as all times here. */
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly userAgent: string | null;
  readonly ipAddress: string | null;
  readonly organizationId: string | undefined;
  /** WorkOS's word for it, such as `password` or `sso`. */
  readonly authMethod: string;
  /** Who acts in the person's name, if somebody does. */
  readonly impersonator: { readonly email: string; readonly reason: string | null } | undefined;
}

/** What an instance can do about sessions before their tokens run out. */
export interface Management {
  /**
   * Where the person of this request is signed in, by WorkOS's account, the newest first. Offer to end one of these
   * only: an id out of a form may be anybody's.
   *
   * @throws {AuthKitError} `unauthenticated`, `upstream_unavailable`
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
   * Ends one session: here at once, in every process within half a second where there is a store, and at WorkOS.
   *
   * @param sessionId `session_…`, the `sid` of its access tokens.
   * @throws {AuthKitError} `upstream_unavailable` if WorkOS or the other processes could not be told: try again.
   */
  revokeSession: (sessionId: string) => Promise<void>;
  /**
   * Ends every session of a person, in the same way. Who signs in again is signed in.
   *
   * @param userId `user_…`
   * @throws {AuthKitError} `upstream_unavailable`
   */
  revokeUserSessions: (userId: string) => Promise<void>;
}

export interface ManagementDependencies {
  workos: Pick<WorkOSClient, 'call'>;
  revocation: Revocation;
  now: () => number;
  authOf: (req: IncomingMessage) => Promise<Auth>;
}

type Users = WorkOS['userManagement'];

const PAGE = 100;

/** Nobody has more; a list without an end is no list. */
const MAX_PAGES = 10;

export function createManagement({ workos, revocation, now, authOf }: ManagementDependencies): Management {
  const list = async (userId: string) =>
    granted(await workos.call(({ userManagement }) => pages(userManagement, userId)), []);
  const revoke = async (sessionId: string) => {
    const isTold = await revocation.endSession(sessionId);
    // What WorkOS will not end has ended.
    granted(
      await workos.call(({ userManagement }) => userManagement.revokeSession({ sessionId })),
      undefined,
    );
    if (!isTold) throw untold();
  };
  return {
    async listSessions(req) {
      const auth = await authOf(req);
      if (auth.type !== 'session')
        throw new AuthKitError('unauthenticated', 'nobody is signed in with a session');
      const { sessionId, user } = auth;
      const sessions = (await list(user.id)).map((one) => toActive(one, sessionId));
      return sessions.filter(({ id }) => !isEnded(id, user.id, revocation));
    },
    async revokeSession(sessionId) {
      if (typeof sessionId !== 'string' || sessionId === '')
        throw new AuthKitError('invalid_request', 'revokeSession takes the id of a session');
      await revoke(sessionId);
    },
    async revokeUserSessions(userId) {
      if (typeof userId !== 'string' || userId === '')
        throw new AuthKitError('invalid_request', 'revokeUser takes the id of a user');
      const isTold = await revocation.endUser(userId, now());
      await Promise.all((await list(userId)).map(({ id }) => revoke(id)));
      if (!isTold) throw untold();
    },
  };
}

function isEnded(sessionId: string, userId: string, revocation: Revocation): boolean {
  return revocation.isEndedHere({ sessionId, userId, issuedAt: Infinity });
}

function untold(): AuthKitError {
  return unavailable('the store could not be reached, so the other processes do not know yet');
}

/** What WorkOS refuses, such as an id that it does not know, is worth `otherwise`. */
function granted<T>(answer: ApiResult<T>, otherwise: T): T {
  if (answer.kind === 'unavailable') throw answer.error;
  return answer.kind === 'ok' ? answer.value : otherwise;
}

async function pages(users: Users, userId: string) {
  type Listed = Awaited<ReturnType<Users['listSessions']>>['data'];
  const all: Listed = [];
  let after: string | undefined;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const found = await users.listSessions(userId, {
      limit: PAGE,
      ...(after === undefined ? {} : { after }),
    });
    all.push(...found.data.filter(({ status }) => status === 'active'));
    after = found.listMetadata.after ?? undefined;
    if (after === undefined) break;
  }
  return all;
}

function toActive(session: Awaited<ReturnType<typeof pages>>[number], currentId: string): ActiveSession {
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
