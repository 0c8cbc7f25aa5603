import type { Request } from './http.js';

/** More than any event of WorkOS's. */
const MAX_BYTES = 1_048_576;

/**
 * The body of a request to the byte, whatever body parser ran before: what it kept aside (`rawBody`), what it made
 * of it, or else what is still to be read. A parser of JSON keeps no bytes; written out again they are the same for
 * whoever wrote JSON without spaces, as WorkOS does, and a signature tells if not.
 *
 * @param timeout Milliseconds.
 */
export async function rawBody(req: Request, timeout: number): Promise<Buffer | undefined> {
  const { rawBody: kept, body } = req as Request & { rawBody?: unknown; body?: unknown };
  const bytes = toBytes(kept) ?? toBytes(body);
  if (bytes) return bytes;
  if (!req.readableEnded && !req.destroyed) return read(req, timeout);
  return typeof body === 'object' && body !== null ? Buffer.from(JSON.stringify(body)) : undefined;
}

function toBytes(value: unknown): Buffer | undefined {
  return Buffer.isBuffer(value) ? value : typeof value === 'string' ? Buffer.from(value) : undefined;
}

/** Ends with the body, with the client, with too many bytes, or with the deadline. */
function read(req: Request, timeout: number): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const end = (body: Buffer | undefined) => {
      clearTimeout(timer);
      req.off('data', onData);
      resolve(body);
    };
    const give = () => {
      end(undefined);
    };
    const onData = (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_BYTES) give();
      else chunks.push(chunk);
    };
    const timer = setTimeout(give, timeout);
    req.on('data', onData).once('error', give).once('close', give);
    req.once('end', () => {
      end(Buffer.concat(chunks));
    });
  });
}
