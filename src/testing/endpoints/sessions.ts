import type { Session, Sessions } from '../state/sessions.js';
import { type TestRequest, type TestResponse, apiError, json, redirect, text } from './http.js';
import { sessionJson } from './json.js';

const PAGE = 10;

/**
 * `GET /user_management/users/:id/sessions`: those that have not ended, a page at a time.
 *
 * @see https://workos.com/docs/reference/authkit/session/list
 */
export function createListSessions(sessions: Sessions): (request: TestRequest) => TestResponse {
  return ({ path, query }) => {
    const [, userId = ''] = /^\/user_management\/users\/([^/]+)\/sessions$/.exec(path) ?? [];
    const all = sessions.activeOf(decodeURIComponent(userId));
    const start = all.findIndex(({ id }) => id === query.get('after')) + 1;
    const page = all.slice(start, start + Number(query.get('limit') ?? PAGE));
    const isLast = start + page.length >= all.length;
    return json(200, {
      object: 'list',
      data: page.map(sessionJson),
      list_metadata: { before: null, after: isLast ? null : (page.at(-1)?.id ?? null) },
    });
  };
}

/** `POST /user_management/sessions/revoke`. */
export function createRevokeSession(sessions: Sessions): (request: TestRequest) => TestResponse {
  return ({ body }) => {
    const session: Session | undefined = sessions.find(text(body?.['session_id']) ?? '');
    if (!session) return apiError(404, 'Session not found.', 'entity_not_found');
    sessions.end(session.id);
    return json(200, sessionJson(session));
  };
}

export interface LogoutParts {
  sessions: Sessions;
  /** Where to go without a `return_to`. */
  homepage: () => string;
}

/**
 * `GET /user_management/sessions/logout`: ends a session and goes on. A session that has ended or never was is no
 * reason to keep somebody here.
 *
 * @see https://workos.com/docs/reference/authkit/logout/get-logout-url
 */
export function createLogout({ sessions, homepage }: LogoutParts): (request: TestRequest) => TestResponse {
  return ({ query }) => {
    const sessionId = text(query.get('session_id'));
    if (sessionId === undefined) return apiError(400, 'session_id is missing.', 'invalid_request');
    const returnTo = text(query.get('return_to')) ?? homepage();
    if (!URL.canParse(returnTo) || !/^https?:$/.test(new URL(returnTo).protocol)) {
      return apiError(400, 'return_to must be an absolute URL.', 'invalid_request');
    }
    sessions.end(sessionId);
    return redirect(returnTo);
  };
}
