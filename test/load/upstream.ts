import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { corpus, corpusKeys, type Row } from '../support/corpora.js';

interface FailureRow extends Row {
  response: {
    status?: number;
    headers?: Record<string, string>;
    body?: string;
    network?: string;
    delay_ms?: number;
  };
}

export const KEYS = corpusKeys('jwt-keys') as { now: number; issuer: string; clientId: string; jwks: object };
export const USER = { object: 'user', id: 'user_01TEST', email: 'ada@example.com' };
/** A valid access token. */
export const VALID = corpus<Row & { token: string }>('jwts')[0]!.token;

const GRANT = JSON.stringify({ user: USER, access_token: VALID, refresh_token: 'rt' });
const failures = new Map(corpus<FailureRow>('workos-failures').map(({ id, response }) => [id, response]));

/** A substitute for WorkOS that takes almost no CPU time, so that the measurements are of the application. */
export interface Upstream {
  port: number;
  /** The response to a request for keys. Without a row, the keys are returned. */
  keys: FailureRow['response'] | undefined;
  close: () => void;
}

export async function startUpstream(): Promise<Upstream> {
  const server = createServer((req, res) => {
    if (req.method !== 'POST') {
      req.resume();
      reply(res, req.url?.startsWith('/sso/jwks/') === true ? upstream.keys : { status: 404 });
      return;
    }
    void bodyOf(req).then((body) => {
      // If a code or refresh token is the id of a row, the response is that row's. Any other is granted.
      reply(res, failures.get(/\bup\d{3}/.exec(body)?.[0] ?? '') ?? { body: GRANT });
    });
  });
  const port = await listening(server);
  const upstream: Upstream = {
    port,
    keys: undefined,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
  return upstream;
}

function reply(res: ServerResponse, row: FailureRow['response'] | undefined): void {
  const { status = 200, headers = {}, body, network, delay_ms: delay = 0 } = row ?? {};
  // All network failures look the same here: no response arrives, either at once or ever.
  if (network !== undefined) {
    if (!/slow|hang|time/i.test(network)) res.destroy();
    return;
  }
  const text = body?.replace('@@10MB@@', 'x'.repeat(10_000_000)).replace(/@@JWT\w*@@/, VALID);
  setTimeout(() => {
    res.writeHead(status, { 'content-type': 'application/json', 'x-request-id': 'req_1', ...headers });
    res.end(text ?? JSON.stringify(KEYS.jwks));
  }, delay);
}

async function bodyOf(req: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of req.setEncoding('latin1')) text += chunk as string;
  return text;
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}
