import { apiError, redirect, text, type Question, type Reply } from './reply.js';
import type { Sessions } from './sessions.js';

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
export function createLogout({ sessions, homepage }: LogoutParts): (question: Question) => Reply {
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
