import { apiError, json, text, type Question, type Reply } from './reply.js';
import type { Session, Sessions } from './sessions.js';
import { sessionOnTheWire } from './wire.js';

const PAGE = 10;

/**
 * `GET /user_management/users/:id/sessions`: those that have not ended, a page at a time.
 *
 * @see https://workos.com/docs/reference/authkit/session/list
 */
export function createListSessions(sessions: Sessions): (question: Question) => Reply {
  return ({ path, query }) => {
    const [, userId = ''] = /^\/user_management\/users\/([^/]+)\/sessions$/.exec(path) ?? [];
    const all = sessions.activeOf(decodeURIComponent(userId));
    const start = all.findIndex(({ id }) => id === query.get('after')) + 1;
    const page = all.slice(start, start + Number(query.get('limit') ?? PAGE));
    const isLast = start + page.length >= all.length;
    return json(200, {
      object: 'list',
      data: page.map(sessionOnTheWire),
      list_metadata: { before: null, after: isLast ? null : (page.at(-1)?.id ?? null) },
    });
  };
}

/** `POST /user_management/sessions/revoke`. */
export function createRevokeSession(sessions: Sessions): (question: Question) => Reply {
  return ({ body }) => {
    const session: Session | undefined = sessions.find(text(body?.['session_id']) ?? '');
    if (!session) return apiError(404, 'Session not found.', 'entity_not_found');
    sessions.end(session.id);
    return json(200, sessionOnTheWire(session));
  };
}
