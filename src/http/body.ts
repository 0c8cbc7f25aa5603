import type { Request } from './handler-to-middleware.js';
import { header, trimOWS } from './request.js';

/** Limits for reading a request body: its maximum size in bytes, and the maximum reading time in milliseconds. */
export interface BodyLimits {
  readonly maxBytes: number;
  readonly timeout: number;
}

/** A request with the properties that a body parser may have set. */
type ParsedRequest = Request & { rawBody?: unknown; body?: unknown };

/**
 * Returns the bytes of a request body, whether or not a body parser has run. The bytes come from `req.rawBody`, from
 * `req.body` if it is a string or a buffer, or from the request stream if it has not been read yet.
 *
 * `express.json()` does not keep the bytes, so the object in `req.body` is serialized again. The result equals the
 * original bytes if the sender wrote JSON as `JSON.stringify` does, without whitespace. WorkOS does so. For any other
 * sender, a signature of the body may not match the result.
 *
 * @returns The bytes, or `undefined` if the body is too large, was cut off, did not arrive in time, or has been read
 * without being kept.
 */
export async function rawBody(req: ParsedRequest, limits: BodyLimits): Promise<Buffer | undefined> {
  const { rawBody: kept, body } = req;
  const bytes = toBytes(kept) ?? toBytes(body);
  if (bytes) return bytes;
  if (!req.readableEnded && !req.destroyed) return readBody(req, limits);
  return typeof body === 'object' && body !== null ? Buffer.from(JSON.stringify(body)) : undefined;
}

/**
 * Reads the fields of a form (RFC 6749 appendix B), or of a JSON object in which all values are strings, whether or not
 * a body parser has run.
 *
 * @returns The fields, or `undefined` if the body cannot be read, or is neither a valid form nor such an object.
 */
export async function readFields(
  req: ParsedRequest,
  limits: BodyLimits,
): Promise<ReadonlyMap<string, string> | undefined> {
  const { body } = req;
  if (typeof body === 'object' && body !== null && !Buffer.isBuffer(body) && !isUnread(req, body))
    return stringFields(body);
  const text = (await rawBody(req, limits))?.toString('utf8');
  const type = trimOWS((header(req, 'content-type') ?? '').split(';', 1)[0] ?? '').toLowerCase();
  if (text === undefined) return undefined;
  if (type === 'application/x-www-form-urlencoded') return formFields(text);
  return type === 'application/json' ? jsonFields(text) : undefined;
}

/** Whether `body` is the empty object that a body parser of Express 4 sets for a body that it has not read. */
function isUnread(req: Request, body: object): boolean {
  return Object.keys(body).length === 0 && !req.readableEnded;
}

function toBytes(value: unknown): Buffer | undefined {
  return Buffer.isBuffer(value) ? value : typeof value === 'string' ? Buffer.from(value) : undefined;
}

/** Returns the fields of a form, or `undefined` if a field is repeated (RFC 6749 section 3.2). */
function formFields(text: string): ReadonlyMap<string, string> | undefined {
  const pairs = [...new URLSearchParams(text)];
  const fields = new Map(pairs);
  return fields.size === pairs.length ? fields : undefined;
}

function jsonFields(text: string): ReadonlyMap<string, string> | undefined {
  try {
    const value = JSON.parse(text) as unknown;
    return typeof value === 'object' && value !== null ? stringFields(value) : undefined;
  } catch {
    return undefined;
  }
}

function stringFields(value: object): ReadonlyMap<string, string> | undefined {
  const entries = Object.entries(value as Record<string, unknown>);
  return entries.every((entry): entry is [string, string] => typeof entry[1] === 'string')
    ? new Map(entries)
    : undefined;
}

/**
 * Reads a body until it ends. Returns `undefined` if the connection closes first, if the time is up, or if the body is
 * too large. The rest of such a body is read and discarded. If the connection were closed instead, the client might not
 * receive the response.
 */
function readBody(req: Request, { maxBytes, timeout }: BodyLimits): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const finish = (body: Buffer | undefined) => {
      clearTimeout(timer);
      chunks.length = 0;
      resolve(body);
    };
    const fail = () => {
      finish(undefined);
    };
    const timer = setTimeout(fail, timeout);
    req.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > maxBytes) fail();
      else chunks.push(chunk);
    });
    req.once('error', fail).once('close', fail);
    req.once('end', () => {
      finish(Buffer.concat(chunks));
    });
  });
}
