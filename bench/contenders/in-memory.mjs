// Sends requests to an http.Server without sockets: the bytes go through Node's HTTP parser, the app, and Node's HTTP
// writer, and nothing goes through the kernel. What is left is the work of JavaScript and of cryptography.
import { Duplex } from 'node:stream';

/** One connection, with one request at a time. */
class Connection extends Duplex {
  #received = '';
  #expected = 0;
  #respond;

  constructor() {
    super({ decodeStrings: false });
  }

  /** Sends a request and resolves with the status of the response when all of it has arrived. */
  exchange(request) {
    return new Promise((resolve) => {
      this.#respond = resolve;
      this.#received = '';
      this.#expected = 0;
      this.push(request);
    });
  }

  _read() {
    // `push` is called for each request, whether or not the server is waiting for one.
  }

  _write(chunk, _encoding, callback) {
    this.#received += typeof chunk === 'string' ? chunk : chunk.latin1Slice();
    callback();
    this.#expected ||= lengthOf(this.#received);
    if (this.#expected > 0 && this.#received.length >= this.#expected)
      this.#respond(Number(this.#received.slice(9, 12)));
  }
}

/** Bytes of a whole response, or 0 if its headers have not arrived. All servers here send `Content-Length`. */
function lengthOf(text) {
  const end = text.indexOf('\r\n\r\n');
  if (end === -1) return 0;
  const at = text.indexOf('\r\nContent-Length: ');
  return end + 4 + (at === -1 || at > end ? 0 : Number.parseInt(text.slice(at + 18, at + 28), 10));
}

/** @returns A function that sends `count` requests over so many connections, and rejects on another status. */
export function createInMemoryClient(server) {
  const connections = [];
  const connect = () => {
    const connection = new Connection();
    connections.push(connection);
    server.emit('connection', connection);
  };
  return async function send({ next, count, concurrency, status }) {
    while (connections.length < concurrency) connect();
    let left = count;
    const run = async (connection) => {
      while (left-- > 0) {
        const answered = await connection.exchange(next());
        if (answered !== status) throw new Error(`expected ${status}, got ${answered}`);
        // The next request arrives in a new turn of the event loop, as from a socket.
        await new Promise(setImmediate);
      }
    };
    await Promise.all(connections.slice(0, concurrency).map(run));
  };
}
