import { connect, type Socket } from 'node:net';

export interface Answer {
  /** 0 if the connection was closed without a response. */
  status: number;
  head: string;
  /** Time from the request to the last byte of the response. */
  milliseconds: number;
}

/** A connection that is reused for the next exchange. Requests are sent verbatim, one exchange at a time. */
export interface Connection {
  exchange: (request: string) => Promise<Answer>;
  /** Uses a separate connection, because the server may read the text as more than one request. */
  alone: (request: string) => Promise<Answer>;
  close: () => void;
}

/** A connection that is silent for this long, in milliseconds, counts as unanswered. */
const PATIENCE = 10_000;

/** Much lighter than an HTTP client, because it shares the machine with the server that it measures. */
export function createConnection(port: number): Connection {
  const open = () => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true, timeout: PATIENCE });
    return socket.on('error', () => undefined);
  };
  let kept: Socket | undefined;
  const afresh = async (request: string) => {
    const socket = open();
    const answer = await ask(socket, request);
    if (answer.isReusable) kept = socket;
    else socket.destroy();
    return answer;
  };
  return {
    async exchange(request) {
      if (!kept?.writable) return afresh(request);
      const socket = kept;
      const answer = await ask(socket, request);
      if (answer.isReusable) return answer;
      socket.destroy();
      kept = undefined;
      // The server may close the connection just as the request is sent.
      return answer.status === 0 ? afresh(request) : answer;
    },
    async alone(request) {
      const socket = open();
      const answer = await ask(socket, request);
      socket.destroy();
      return answer;
    },
    close: () => void kept?.destroy(),
  };
}

function ask(socket: Socket, request: string): Promise<Answer & { isReusable: boolean }> {
  return new Promise((resolve) => {
    const started = performance.now();
    let text = '';
    const finish = (isWhole: boolean) => {
      socket.off('data', read).off('close', broken).off('timeout', broken);
      const [head = ''] = text.split('\r\n\r\n', 1);
      resolve({
        status: Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0),
        head,
        milliseconds: performance.now() - started,
        isReusable: isWhole && !/^connection: close$/im.test(head),
      });
    };
    const broken = () => {
      finish(false);
    };
    const read = (chunk: Buffer) => {
      // "100 Continue" is not the final response.
      text = (text + chunk.toString('latin1')).replace(/^HTTP\/1\.1 100 .*\r\n\r\n/, '');
      const rest = missing(text, request.startsWith('HEAD '));
      if (rest !== undefined && rest <= 0) finish(rest === 0);
    };
    socket.on('data', read).on('close', broken).on('timeout', broken);
    socket.write(request);
  });
}

/**
 * How many bytes are still missing: negative if more than one response arrived, `undefined` if it cannot be known yet.
 */
function missing(text: string, hasNoBody: boolean): number | undefined {
  const end = text.indexOf('\r\n\r\n') + 4;
  if (end < 4) return undefined;
  const head = text.slice(0, end);
  const have = text.length - end;
  if (hasNoBody || /^HTTP\/1\.1 (?:204|304)/.test(head)) return -have;
  const length = /\r\ncontent-length: (\d+)\r\n/i.exec(head)?.[1];
  if (length !== undefined) return Number(length) - have;
  if (/\r\ntransfer-encoding: chunked\r\n/i.test(head)) return text.endsWith('\r\n0\r\n\r\n') ? 0 : undefined;
  return undefined;
}
