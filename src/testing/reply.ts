import { STATUS_CODES } from 'node:http';

/** A request, as far as WorkOS looks at it. */
export interface Question {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  /** The fields of a JSON or form body; empty without one, `undefined` if it is malformed. */
  readonly body: Readonly<Record<string, unknown>> | undefined;
  /** The `Authorization` header; calls that are recorded leave it out. */
  readonly authorization: string | undefined;
  /** Whether a person is going to read the answer. */
  readonly wantsPage: boolean;
}

/** What WorkOS answers. Handlers return it, so a fault can still change it or keep it back. */
export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export function json(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): Reply {
  return {
    status,
    headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
    body: JSON.stringify(value),
  };
}

/** A refusal in the form of RFC 6749 section 5.2. */
export function oauthError(status: number, error: string, description: string): Reply {
  return json(status, { error, error_description: description });
}

/** A refusal in the form of WorkOS's other endpoints. */
export function apiError(status: number, message = STATUS_CODES[status] ?? 'Error', code?: string): Reply {
  return json(status, { message, ...(code === undefined ? {} : { code }) });
}

export function redirect(location: string): Reply {
  return { status: 302, headers: { location, 'cache-control': 'no-store' }, body: '' };
}

/** The one value of a field, if it is text that is not empty. */
export function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
