import { IncomingMessage, ServerResponse } from 'node:http';

/** A request and its response, as sent by any server in this process. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Status line and headers exactly as sent, including those passed to `writeHead`. */
  readonly head: string;
  readonly requestBody: string;
  readonly responseBody: string;
}

const received = new WeakMap<IncomingMessage, Buffer[]>();
const written = new WeakMap<ServerResponse, Buffer[]>();
const MAX_KEPT = 262_144;

/**
 * Reports every exchange once its response has ended. It patches the prototypes of `node:http`, so no server or client
 * of a test can be missed: bodies are recorded as the parser pushes them and as handlers write them.
 */
export function watchExchanges(tell: (exchange: Exchange) => void): void {
  /* eslint-disable @typescript-eslint/unbound-method -- called on the object that the new method is called on */
  const { push } = IncomingMessage.prototype;
  const { write, end } = ServerResponse.prototype;
  /* eslint-enable */
  IncomingMessage.prototype.push = function (
    this: IncomingMessage,
    chunk: unknown,
    ...rest: [BufferEncoding?]
  ) {
    if (Buffer.isBuffer(chunk)) keep(received, this, chunk);
    return push.call(this, chunk, ...rest);
  };
  ServerResponse.prototype.write = function (this: ServerResponse, ...args: unknown[]) {
    keep(written, this, args[0]);
    return write.apply(this, args as Parameters<typeof write>);
  } as typeof write;
  ServerResponse.prototype.end = function (this: ServerResponse, ...args: unknown[]) {
    if (!this.writableEnded) {
      if (typeof args[0] !== 'function') keep(written, this, args[0]);
      this.once('close', () => {
        tell({
          request: this.req,
          response: this,
          head: (this as { _header?: string })._header ?? '',
          requestBody: text(received.get(this.req)),
          responseBody: text(written.get(this)),
        });
      });
    }
    return end.apply(this, args as Parameters<typeof end>);
  } as typeof end;
}

function keep<T extends object>(into: WeakMap<T, Buffer[]>, key: T, chunk: unknown): void {
  if (typeof chunk !== 'string' && !(chunk instanceof Uint8Array)) return;
  const chunks = into.get(key) ?? [];
  into.set(key, chunks);
  if (chunks.reduce((sum, { length }) => sum + length, 0) < MAX_KEPT)
    chunks.push(Buffer.from(chunk as string));
}

function text(chunks: Buffer[] | undefined): string {
  return Buffer.concat(chunks ?? []).toString('utf8');
}
