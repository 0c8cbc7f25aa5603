import type { Request } from './middleware.js';
import { header, trimOWS } from './request.js';

/** How long a body may be, in bytes, and may take, in milliseconds. */
export interface BodyLimits {
  readonly maxBytes: number;
  readonly timeout: number;
}

/** A request, and what body parsers may have put on it. */
type Parsed = Request & { rawBody?: unknown; body?: unknown };

/**
 * The body of a request to the byte, whatever body parser ran before: what it kept aside (`rawBody`), what it made
 * of it, or else what is still to be read. A parser of JSON keeps no bytes; written out again they are the same for
 * whoever wrote JSON without spaces, as WorkOS does, and a signature tells if not.
 *
 * @returns `undefined` if it cannot be had: too long, broken off, or not in time.
 */
export async function rawBody(req: Parsed, limits: BodyLimits): Promise<Buffer | undefined> {
  const { rawBody: kept, body } = req;
  const bytes = toBytes(kept) ?? toBytes(body);
  if (bytes) return bytes;
  if (!req.readableEnded && !req.destroyed) return read(req, limits);
  return typeof body === 'object' && body !== null ? Buffer.from(JSON.stringify(body)) : undefined;
}

/**
 * The fields of a form (RFC 6749 appendix B) or of a JSON object, whether the application has read the body already or
 * not; `undefined` if there are none to be had.
 */
export async function readFields(
  req: Parsed,
  limits: BodyLimits,
): Promise<ReadonlyMap<string, string> | undefined> {
  const { body } = req;
  if (typeof body === 'object' && body !== null && !Buffer.isBuffer(body)) return texts(body);
  const text = (await rawBody(req, limits))?.toString('utf8');
  const type = trimOWS((header(req, 'content-type') ?? '').split(';', 1)[0] ?? '').toLowerCase();
  if (text === undefined) return undefined;
  if (type === 'application/x-www-form-urlencoded') return form(text);
  return type === 'application/json' ? json(text) : undefined;
}

function toBytes(value: unknown): Buffer | undefined {
  return Buffer.isBuffer(value) ? value : typeof value === 'string' ? Buffer.from(value) : undefined;
}

/** RFC 6749 section 3.2: a parameter must not be repeated. */
function form(text: string): ReadonlyMap<string, string> | undefined {
  const pairs = [...new URLSearchParams(text)];
  const fields = new Map(pairs);
  return fields.size === pairs.length ? fields : undefined;
}

function json(text: string): ReadonlyMap<string, string> | undefined {
  try {
    const value = JSON.parse(text) as unknown;
    return typeof value === 'object' && value !== null ? texts(value) : undefined;
  } catch {
    return undefined;
  }
}

function texts(value: object): ReadonlyMap<string, string> | undefined {
  const entries = Object.entries(value as Record<string, unknown>);
  return entries.every((entry): entry is [string, string] => typeof entry[1] === 'string')
    ? new Map(entries)
    : undefined;
}

/**
 * Ends with the body, with the client, or with the deadline. What is too long is read to its end and not kept: the
 * answer would not arrive on a connection that was cut.
 */
function read(req: Request, { maxBytes, timeout }: BodyLimits): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const end = (body: Buffer | undefined) => {
      clearTimeout(timer);
      chunks.length = 0;
      resolve(body);
    };
    const give = () => {
      end(undefined);
    };
    const timer = setTimeout(give, timeout);
    req.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > maxBytes) give();
      else chunks.push(chunk);
    });
    req.once('error', give).once('close', give);
    req.once('end', () => {
      end(Buffer.concat(chunks));
    });
  });
}
