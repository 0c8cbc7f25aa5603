import type { Directory } from '../state/directory.js';
import { type Handler, apiError, json } from './http.js';
import { userJson } from './json.js';

/** `GET /user_management/users/:id` */
export function createGetUser(directory: Directory, apiKey: string): Handler {
  return ({ path, authorization }) => {
    if (authorization !== `Bearer ${apiKey}`) return apiError(401, 'Unauthorized');
    const id = decodeURIComponent(path.slice(path.lastIndexOf('/') + 1));
    const person = directory.find(id);
    if (!person) return apiError(404, `User not found: '${id}'.`, 'entity_not_found');
    return json(200, userJson(person.user));
  };
}
