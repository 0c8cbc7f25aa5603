import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { Agent, createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import express from 'express';
import { authkit, requireAuth, type AuthKitOptions } from 'authkit-express';
import { createTestWorkOS, type TestWorkOS } from 'authkit-express/testing';
import { Browser, type Ask, type Reply } from '../support/browser.js';
import { freePort } from '../support/free-port.js';

export const ADA = 'ada@example.com';
export const ANALYTICAL = 'org_analytical';
export const DIFFERENCE = 'org_difference';
const FOLDER = fileURLToPath(new URL('.', import.meta.url));

/** The public addresses of the two applications. */
export interface Layout {
  readonly next: string;
  readonly express: string;
  /** The domain of the session cookie, unless the cookie belongs to a single host. */
  readonly domain?: string;
}

export interface OneDomain extends Layout {
  readonly workos: TestWorkOS;
  /** Restarts the Express application with different options. */
  configure: (options: AuthKitOptions) => void;
  /** Restarts Next.js with a different password. */
  restartNext: (cookiePassword: string) => Promise<void>;
  close: () => Promise<void>;
}

/** Browsers resolve names below `localhost` to this machine, but not every resolver does. */
const agent = new Agent({
  lookup: (_, { all }, callback) => {
    if (all) callback(null, [{ address: '127.0.0.1', family: 4 }]);
    else callback(null, '127.0.0.1', 4);
  },
});

export class LocalBrowser extends Browser {
  override go(url: string, ask: Ask = {}): Promise<Reply> {
    return super.go(url, { ...ask, agent });
  }
}

/** Starts Next.js with authkit-nextjs and Express with this package on a test WorkOS, behind one reverse proxy. */
export async function startOneDomain(layoutOf: (port: number) => Layout): Promise<OneDomain> {
  const port = await freePort();
  const layout = layoutOf(port);
  const workos = await createTestWorkOS({
    users: [{ email: ADA, memberships: [{ organizationId: ANALYTICAL }, { organizationId: DIFFERENCE }] }],
    organizations: [
      { id: ANALYTICAL, name: 'Analytical Engines' },
      { id: DIFFERENCE, name: 'Difference Engines' },
    ],
    redirectUris: [`${layout.next}/callback`, `${layout.express}/api/callback`],
    homepage: layout.next,
  });
  let app = createApi(workos, layout, {});
  const api = await listen(
    createServer((req, res) => {
      app(req, res);
    }),
    0,
  );
  const startNext = (cookiePassword: string) => spawnNext(workos, layout, cookiePassword);
  let next = await startNext(workos.options.cookiePassword);
  const proxy = await listen(
    createProxy(portOf(api), () => next.port),
    port,
  );
  return {
    ...layout,
    workos,
    configure(options) {
      app = createApi(workos, layout, options);
    },
    async restartNext(cookiePassword) {
      await stop(next.child);
      next = await startNext(cookiePassword);
    },
    async close() {
      await stop(next.child);
      for (const server of [proxy, api]) {
        server.closeAllConnections();
        server.close();
      }
      await workos.close();
    },
  };
}

function createApi(workos: TestWorkOS, { express: origin, domain }: Layout, options: AuthKitOptions) {
  const app = express();
  app.use(
    authkit({
      ...workos.options,
      redirectUri: `${origin}/api/callback`,
      routes: {
        login: '/api/login',
        callback: '/api/callback',
        logout: '/api/logout',
        switchOrganization: '/api/organization',
      },
      returnTo: '/api/me',
      ...(domain === undefined ? {} : { cookie: { domain } }),
      ...options,
    }),
  );
  app.get('/api/me', requireAuth(), (req, res) => {
    if (req.auth.type !== 'session') return;
    const { user, sessionId, organizationId, data } = req.auth;
    res.json({ email: user.email, sessionId, organizationId, data });
  });
  return app;
}

/** Sends `/api` and the API's host to Express, and everything else to Next.js. */
function createProxy(api: number, nextPort: () => number): Server {
  return createServer((req, res) => {
    const { url = '/', method, headers } = req;
    const isApi = url.startsWith('/api') || (headers.host ?? '').startsWith('api.');
    const port = isApi ? api : nextPort();
    const onwards = request({ host: '127.0.0.1', port, path: url, method, headers }, (answer) => {
      res.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(res);
    });
    onwards.on('error', () => res.writeHead(502).end());
    req.pipe(onwards);
  });
}

interface Next {
  child: ChildProcess;
  port: number;
}

async function spawnNext(
  workos: TestWorkOS,
  { next, domain }: Layout,
  cookiePassword: string,
): Promise<Next> {
  const port = await freePort();
  const env = {
    ...process.env,
    NODE_ENV: 'development',
    NEXT_TELEMETRY_DISABLED: '1',
    ...workos.env,
    WORKOS_COOKIE_PASSWORD: cookiePassword,
    NEXT_PUBLIC_WORKOS_REDIRECT_URI: `${next}/callback`,
    PUBLIC_URL: next,
    ...(domain === undefined ? {} : { WORKOS_COOKIE_DOMAIN: domain }),
  };
  const args = ['node_modules/next/dist/bin/next', 'dev', '--port', String(port), '--hostname', '127.0.0.1'];
  const child = spawn(process.execPath, args, { cwd: FOLDER, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let printed = '';
  await new Promise<void>((resolve, reject) => {
    const read = (chunk: Buffer) => {
      printed += chunk.toString();
      if (printed.includes('Ready in')) resolve();
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.once('exit', () => {
      reject(new Error(`Next.js did not start: ${printed}`));
    });
  });
  if (process.env['DEBUG_NEXT']) for (const out of [child.stdout, child.stderr]) out.pipe(process.stderr);
  return { child, port };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

async function listen(server: Server, port: number): Promise<Server> {
  server.listen(port);
  await once(server, 'listening');
  return server;
}

const portOf = (server: Server) => (server.address() as AddressInfo).port;
