import { header, type Request } from './http.js';

/** More than a sealed session, and little enough to hold. */
const MAX_BYTES = 32_768;

/**
 * The fields of a form (RFC 6749 appendix B) or of a JSON object, whether the application has read the body already or
 * not; `undefined` if there are none to be had.
 */
export async function readFields(
  req: Request & { body?: unknown },
): Promise<ReadonlyMap<string, string> | undefined> {
  const { body } = req;
  if (typeof body === 'object' && body !== null && !Buffer.isBuffer(body)) return texts(body);
  const text = Buffer.isBuffer(body)
    ? body.toString('utf8')
    : typeof body === 'string'
      ? body
      : await readText(req);
  const type = (header(req, 'content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase();
  if (text === undefined) return undefined;
  if (type === 'application/x-www-form-urlencoded') return form(text);
  return type === 'application/json' ? json(text) : undefined;
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

/** What is too long is read to its end and not kept: the answer would not arrive on a connection that was cut. */
function readText(req: Request): Promise<string | undefined> {
  if (req.readableEnded || req.destroyed) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    req.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= MAX_BYTES) chunks.push(chunk);
      else resolve(undefined);
    });
    req.on('end', () => {
      resolve(Buffer.concat(chunks).toString('utf8'));
    });
    for (const event of ['error', 'close']) {
      req.on(event, () => {
        resolve(undefined);
      });
    }
  });
}
