import { canParse } from '../../url-can-parse.js';
import type { Directory } from '../state/users-and-organizations.js';
import type { Sessions } from '../state/sessions.js';
import { apiError, json, listPage, notFound, redirect, text, type Route } from './request-and-response.js';
import { sessionJson } from './resource-json.js';

export interface SessionsDependencies {
  directory: Directory;
  sessions: Sessions;
  /** Returns the URL that a logout without `return_to` redirects to. */
  homepage: () => string;
}

/**
 * Creates the routes that list and revoke sessions, and the logout route, which the user's browser opens.
 *
 * @see https://workos.com/docs/reference/authkit/session
 * @see https://workos.com/docs/reference/authkit/logout/get-logout-url
 */
export function sessionRoutes({ directory, sessions, homepage }: SessionsDependencies): Route[] {
  return [
    {
      on: 'GET /user_management/users/:id/sessions',
      operation: 'sessions',
      handle: ({ query }, { id = '' }) =>
        directory.getUser(id) ? listPage(query, sessions.activeOf(id), sessionJson) : notFound('User', id),
    },
    {
      on: 'POST /user_management/sessions/revoke',
      operation: 'revokeSession',
      handle: ({ body }) => {
        const id = text(body?.['session_id']) ?? '';
        const session = sessions.find(id);
        if (!session) return notFound('Session', id);
        sessions.end(id);
        return json(200, sessionJson(session));
      },
    },
    {
      on: 'GET /user_management/sessions/logout',
      operation: 'logout',
      needsApiKey: false,
      handle: ({ query }) => {
        const sessionId = text(query.get('session_id'));
        if (sessionId === undefined) return apiError(400, 'session_id is missing.', 'invalid_request');
        const returnTo = text(query.get('return_to')) ?? homepage();
        if (!canParse(returnTo) || !/^https?:$/.test(new URL(returnTo).protocol))
          return apiError(400, 'return_to must be an absolute URL.', 'invalid_request');
        // The browser is redirected even if the session has already ended or never existed.
        sessions.end(sessionId);
        return redirect(returnTo);
      },
    },
  ];
}
