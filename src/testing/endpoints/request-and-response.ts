import { STATUS_CODES } from 'node:http';

/** The parts of an HTTP request that the endpoints read. */
export interface TestRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  /**
   * The fields of a JSON or form body. It is an empty object if there is no body, and `undefined` if the body is
   * malformed.
   */
  readonly body: Fields | undefined;
  /** The `Authorization` header. Recorded calls do not contain it. */
  readonly authorization: string | undefined;
  readonly userAgent: string | undefined;
  /** Whether the client accepts HTML, as a browser does when it opens a page. */
  readonly wantsPage: boolean;
}

export type Fields = Readonly<Record<string, unknown>>;

/** The response of an endpoint. It has not been sent yet, so a fault can still change or withhold it. */
export interface TestResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/**
 * An operation of the WorkOS API. `code` is the authorization code grant, and `refresh` is the refresh token grant. A
 * request with any other grant type is recorded as `authenticate`. `other` is any request that the test WorkOS does not
 * support.
 */
export type Operation =
  | 'authorize'
  | 'choose'
  | 'code'
  | 'refresh'
  | 'authenticate'
  | 'jwks'
  | 'logout'
  | 'user'
  | 'users'
  | 'sessions'
  | 'revokeSession'
  | 'apiKey'
  | 'apiKeys'
  | 'oauth'
  | 'oauthKeys'
  | 'profile'
  | 'updateUser'
  | 'memberships'
  | 'organizations'
  | 'invitations'
  | 'connections'
  | 'credentials'
  | 'pipes'
  | 'link'
  | 'other';

/** All operations. The compiler checks that none is missing. */
export const OPERATIONS: Readonly<Record<Operation, true>> = {
  authorize: true,
  choose: true,
  code: true,
  refresh: true,
  authenticate: true,
  jwks: true,
  logout: true,
  user: true,
  users: true,
  sessions: true,
  revokeSession: true,
  apiKey: true,
  apiKeys: true,
  oauth: true,
  oauthKeys: true,
  profile: true,
  updateUser: true,
  memberships: true,
  organizations: true,
  invitations: true,
  connections: true,
  credentials: true,
  pipes: true,
  link: true,
  other: true,
};

/** Returns whether `asked` includes `operation`. `authenticate` includes every grant type. */
export function covers(asked: Operation, operation: Operation): boolean {
  return (
    asked === operation || (asked === 'authenticate' && (operation === 'code' || operation === 'refresh'))
  );
}

/** The percent-decoded values of a path's parameters, by name. */
export type PathParameters = Readonly<Record<string, string>>;

/** An endpoint of the WorkOS API, and the function that handles requests to it. */
export interface Route {
  /** The HTTP method and the path pattern, such as `GET /user_management/users/:id`. */
  readonly on: `${'GET' | 'POST' | 'PUT' | 'DELETE'} /${string}`;
  readonly operation: Operation | ((request: TestRequest) => Operation);
  /** Whether requests must contain the API key in the `Authorization` header. Default: true. */
  readonly needsApiKey?: boolean;
  readonly handle: (request: TestRequest, parameters: PathParameters) => TestResponse | Promise<TestResponse>;
}

/**
 * Compares a path with a pattern, segment by segment.
 *
 * @returns The values of the path's parameters, or `undefined` if the path does not match.
 */
export function matchPath(pattern: string, path: string): PathParameters | undefined {
  const [expected, actual] = [pattern.split('/'), path.split('/')];
  if (expected.length !== actual.length) return undefined;
  const parameters: Record<string, string> = {};
  for (const [index, segment] of expected.entries()) {
    const value = actual[index] ?? '';
    if (!segment.startsWith(':')) {
      if (segment !== value) return undefined;
      continue;
    }
    const decoded = decode(value);
    if (decoded === undefined || decoded === '') return undefined;
    parameters[segment.slice(1)] = decoded;
  }
  return parameters;
}

function decode(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}

export function json(
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): TestResponse {
  return {
    status,
    headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
    body: JSON.stringify(value),
  };
}

/** Creates a response without a body. */
export function empty(status: number): TestResponse {
  return { status, headers: {}, body: '' };
}

/** Creates an error response in the format of RFC 6749 section 5.2. */
export function oauthError(status: number, error: string, description: string): TestResponse {
  return json(status, { error, error_description: description });
}

/** Creates an error response in the format that WorkOS uses for all errors other than OAuth errors. */
export function apiError(
  status: number,
  message = STATUS_CODES[status] ?? 'Error',
  code?: string,
): TestResponse {
  return json(status, { message, ...(code === undefined ? {} : { code }) });
}

export function notFound(resource: string, id: string): TestResponse {
  return apiError(404, `${resource} not found: '${id}'.`, 'entity_not_found');
}

/** Creates the response to a request in which a parameter is missing or malformed. */
export function unprocessable(field: string, message: string): TestResponse {
  return json(422, {
    code: 'invalid_request_parameters',
    message: 'Validation failed.',
    errors: [{ field, code: message }],
  });
}

export function redirect(location: string): TestResponse {
  return { status: 302, headers: { location, 'cache-control': 'no-store' }, body: '' };
}

/** Returns the value of a field if it is a non-empty string, or else `undefined`. */
export function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** Returns the value of a field if it is an array of strings, or else `undefined`. */
export function texts(value: unknown): readonly string[] | undefined {
  return Array.isArray(value) && value.every((one) => typeof one === 'string') ? value : undefined;
}

const DEFAULT_LIMIT = 10;
const MAX_LIMIT = 100;

/**
 * Returns one page of a list, as the query parameters `limit`, `before`, `after` and `order` specify. By default, the
 * newest items come first.
 *
 * @param items All items of the list, oldest first.
 * @see https://workos.com/docs/reference/pagination
 */
export function listPage<Item extends { readonly id: string }>(
  query: URLSearchParams,
  items: readonly Item[],
  toJson: (item: Item) => unknown,
): TestResponse {
  const limit = Number(query.get('limit') ?? DEFAULT_LIMIT);
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT) {
    return unprocessable('limit', `limit must be between 1 and ${MAX_LIMIT}`);
  }
  const order = query.get('order') ?? 'desc';
  if (!['asc', 'desc', 'normal'].includes(order)) return unprocessable('order', 'order must be asc or desc');
  const all = order === 'asc' ? items : items.toReversed();
  const [after, before] = [query.get('after'), query.get('before')];
  const end = before === null ? all.length : Math.max(0, indexOf(all, before));
  const start = after !== null ? indexOf(all, after) + 1 : before === null ? 0 : Math.max(0, end - limit);
  const page = all.slice(start, Math.min(start + limit, end));
  return json(200, {
    object: 'list',
    data: page.map(toJson),
    list_metadata: {
      before: start > 0 ? (page[0]?.id ?? null) : null,
      after: start + page.length < all.length ? (page.at(-1)?.id ?? null) : null,
    },
  });
}

/**
 * Returns the index of the item that a cursor points to, or the number of items if the cursor is unknown. With an
 * unknown `after` cursor, the page is therefore empty. With an unknown `before` cursor, it is the last page.
 */
function indexOf(items: readonly { readonly id: string }[], id: string): number {
  const index = items.findIndex((item) => item.id === id);
  return index === -1 ? items.length : index;
}

/**
 * Creates the response of an endpoint that the test WorkOS does not implement. Its status is 501 rather than 404,
 * because an application would take a 404 to mean that an object does not exist.
 */
export function notImplemented({ method, path }: TestRequest, what = `${method} ${path}`): TestResponse {
  const stub = `workos.fail({ on: { method: '${method}', path: '${path}' }, status: 200, body: { … } })`;
  return apiError(
    501,
    `The test WorkOS does not implement ${what}. Stub it with ${stub}, or use WorkOS's own emulator, which has more of the API: \`npx workos emulate\`.`,
    'not_implemented',
  );
}
