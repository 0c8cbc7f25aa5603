import type { Passwords } from '../state/passwords-codes-and-factors.js';
import type { Directory, UserChanges } from '../state/users-and-organizations.js';
import {
  apiError,
  empty,
  json,
  listPage,
  notFound,
  text,
  unprocessable,
  type Fields,
  type Route,
  type TestResponse,
} from './request-and-response.js';
import { userJson } from './resource-json.js';

export interface UsersDependencies {
  directory: Directory;
  passwords: Passwords;
  /** Deletes a user and all of the user's data, such as sessions and API keys. */
  deleteUser: (id: string) => void;
}

/** @see https://workos.com/docs/reference/authkit/user */
export function userRoutes({ directory, passwords, deleteUser }: UsersDependencies): Route[] {
  return [
    {
      on: 'GET /user_management/users',
      operation: 'users',
      handle: ({ query }) => {
        const email = query.get('email')?.toLowerCase();
        const organizationId = query.get('organization_id') ?? query.get('organization');
        const found = directory
          .users()
          .filter(
            ({ user, memberships }) =>
              (email === undefined || user.email.toLowerCase() === email) &&
              (organizationId === null ||
                memberships.some((membership) => membership.organizationId === organizationId)),
          );
        return listPage(
          query,
          found.map(({ user }) => user),
          userJson,
        );
      },
    },
    {
      on: 'POST /user_management/users',
      operation: 'users',
      handle: ({ body = {} }) => {
        const email = text(body['email']);
        if (email === undefined) return unprocessable('email', 'email_required');
        const changes = readChanges(body);
        const problem = problemOf(changes, body, undefined, directory) ?? passwordProblem(body);
        if (problem) return problem;
        const { user } = directory.createUser({ ...changes, metadata: metadataOf({}, body), email });
        setPassword(user.id, body, passwords);
        return json(201, userJson(user));
      },
    },
    {
      on: 'GET /user_management/users/external_id/:externalId',
      operation: 'user',
      handle: (_, { externalId = '' }) => {
        const found = directory.users().find(({ user }) => user.externalId === externalId);
        return found ? json(200, userJson(found.user)) : notFound('User', externalId);
      },
    },
    {
      on: 'GET /user_management/users/:id',
      operation: 'user',
      handle: (_, { id = '' }) => {
        const found = directory.getUser(id);
        return found ? json(200, userJson(found.user)) : notFound('User', id);
      },
    },
    {
      on: 'PUT /user_management/users/:id',
      operation: 'updateUser',
      handle: ({ body }, { id = '' }) => {
        const known = directory.getUser(id)?.user;
        if (!known) return notFound('User', id);
        if (!body) return unprocessable('body', 'the body is malformed');
        const changes = readChanges(body);
        const problem = problemOf(changes, body, id, directory) ?? passwordProblem(body);
        if (problem) return problem;
        const metadata = metadataOf(known.metadata, body);
        const { user } = directory.updateUser(id, { ...changes, metadata });
        setPassword(id, body, passwords);
        return json(200, userJson(user));
      },
    },
    {
      on: 'DELETE /user_management/users/:id',
      operation: 'users',
      handle: (_, { id = '' }) => {
        if (!directory.getUser(id)) return notFound('User', id);
        deleteUser(id);
        return empty(200);
      },
    },
  ];
}

/** Reads the changes to a user from a request body. A value of `null` clears an optional field. */
function readChanges(body: Fields): UserChanges {
  const optional = (name: string) =>
    body[name] === null
      ? { value: null }
      : text(body[name]) === undefined
        ? undefined
        : { value: text(body[name]) };
  const [email, verified] = [text(body['email']), body['email_verified']];
  const names = optional('first_name') ?? firstNameOf(body['name']);
  const lastNames = optional('last_name') ?? lastNameOf(body['name']);
  const [externalId, locale] = [optional('external_id'), optional('locale')];
  return {
    ...(email === undefined ? {} : { email }),
    ...(typeof verified === 'boolean' ? { emailVerified: verified } : {}),
    ...(names === undefined ? {} : { firstName: names.value ?? null }),
    ...(lastNames === undefined ? {} : { lastName: lastNames.value ?? null }),
    ...(externalId === undefined ? {} : { externalId: externalId.value ?? null }),
    ...(locale === undefined ? {} : { locale: locale.value ?? null }),
  };
}

/**
 * Returns the part of a full name before the first space, as the `value` of an object. Returns `undefined` if no full
 * name is given.
 */
function firstNameOf(name: unknown): { value: string | undefined } | undefined {
  return text(name) === undefined ? undefined : { value: text(name)?.split(' ')[0] };
}

function lastNameOf(name: unknown): { value: string | undefined } | undefined {
  const full = text(name);
  return full === undefined ? undefined : { value: text(full.split(' ').slice(1).join(' ')) };
}

/**
 * Merges the metadata in a request body into the existing metadata. If the value of a key is `null`, the key is
 * removed. If `metadata` itself is `null`, all keys are removed.
 */
export function metadataOf(known: Readonly<Record<string, string>>, body: Fields): Record<string, string> {
  const given = body['metadata'];
  if (given === null) return {};
  const merged = { ...known, ...(given as Record<string, string | null> | undefined) };
  const kept = Object.entries(merged).filter((entry): entry is [string, string] => entry[1] !== null);
  return Object.fromEntries(kept);
}

/**
 * Returns an error response if metadata exceeds WorkOS's limits, or else `undefined`. The limits are 50 keys of up to
 * 40 characters, with values of up to 600 characters.
 */
export function metadataProblem({ metadata }: Fields): TestResponse | undefined {
  if (metadata === undefined || metadata === null) return undefined;
  const isValid =
    typeof metadata === 'object' &&
    !Array.isArray(metadata) &&
    Object.entries(metadata as Fields).length <= 50 &&
    Object.entries(metadata as Fields).every(
      ([key, value]) =>
        key.length <= 40 && (value === null || (typeof value === 'string' && value.length <= 600)),
    );
  return isValid
    ? undefined
    : apiError(400, 'Metadata has at most 50 keys, and its values are strings.', 'invalid_metadata');
}

function problemOf(
  { email, externalId }: UserChanges,
  body: Fields,
  id: string | undefined,
  directory: Directory,
): TestResponse | undefined {
  const others = directory.users().filter(({ user }) => user.id !== id);
  if (email !== undefined && !/^[^\s@]+@[^\s@]+$/.test(email))
    return apiError(400, `'${email}' is not a valid email address.`, 'invalid_email');
  if (email !== undefined && others.some(({ user }) => user.email.toLowerCase() === email.toLowerCase()))
    return id === undefined
      ? json(400, {
          code: 'user_creation_error',
          message: 'Could not create user.',
          errors: [{ code: 'email_not_available', message: `The email ${email} is not available.` }],
        })
      : apiError(400, `The email ${email} is not available.`, 'email_not_available');
  if (typeof externalId === 'string' && others.some(({ user }) => user.externalId === externalId))
    return apiError(400, `The external id ${externalId} is used already.`, 'external_id_already_used');
  return metadataProblem(body);
}

const MIN_PASSWORD = 10;

function passwordProblem(body: Fields): TestResponse | undefined {
  const password = text(body['password']);
  if (password === undefined) return undefined;
  if (body['password_hash'] !== undefined)
    return apiError(
      400,
      'Only one of password and password_hash may be sent.',
      'password_and_password_hash_provided',
    );
  return password.length >= MIN_PASSWORD ? undefined : weakPassword();
}

export function weakPassword(): TestResponse {
  const message = `Password must be at least ${MIN_PASSWORD} characters long.`;
  return json(400, {
    code: 'password_strength_error',
    message: 'Password does not meet strength requirements.',
    errors: [{ code: 'password_too_short', message }],
  });
}

export function isStrongPassword(password: string): boolean {
  return password.length >= MIN_PASSWORD;
}

function setPassword(userId: string, body: Fields, passwords: Passwords): void {
  const password = text(body['password']);
  if (password !== undefined) passwords.set(userId, password);
  else if (text(body['password_hash']) !== undefined) passwords.setHash(userId);
}
