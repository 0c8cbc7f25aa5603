import { connect, type Socket } from 'node:net';

export interface Answer {
  /** 0 if the connection was closed without one. */
  status: number;
  head: string;
  /** From the request to the last byte of the answer. */
  milliseconds: number;
}

/** A connection that is kept for the next exchange. What is said goes out to the letter; one exchange at a time. */
export interface Connection {
  exchange: (request: string) => Promise<Answer>;
  /** The same on a connection that is for this exchange: what is said may be taken for more than one request. */
  alone: (request: string) => Promise<Answer>;
  close: () => void;
}

/** A connection that says nothing for this long, in milliseconds, has not answered. */
const PATIENCE = 10_000;

/** Much lighter than a client of HTTP: it shares the machine with what it measures. */
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
      // The server may hang up just as it is asked.
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
      // "Go on" is no answer yet.
      text = (text + chunk.toString('latin1')).replace(/^HTTP\/1\.1 100 .*\r\n\r\n/, '');
      const rest = missing(text, request.startsWith('HEAD '));
      if (rest !== undefined && rest <= 0) finish(rest === 0);
    };
    socket.on('data', read).on('close', broken).on('timeout', broken);
    socket.write(request);
  });
}

/** Bytes that are still to come: less than 0 where more came than one answer, `undefined` where one cannot tell yet. */
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
