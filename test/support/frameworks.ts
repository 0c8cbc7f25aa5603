import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import connect from 'connect';
import express from 'express';
import express4 from 'express4';
import { handedOut } from './leak-checks/index.js';

export type Next = (error?: unknown) => void;
export type Handler = (req: IncomingMessage, res: ServerResponse, next: Next) => unknown;

/** One interface for the applications of all frameworks, so that each flow is written once. */
export interface App {
  /** Adds a handler for every request, or for those below a path. */
  use: (...args: [Handler] | [path: string, handler: Handler]) => void;
  /** Adds handlers for one path, whatever the method. */
  route: (path: string, ...handlers: Handler[]) => void;
  /** Changes a setting of Express; the other frameworks have none. */
  set?: (name: string, value: unknown) => void;
}

const ALL = ['express5', 'express4', 'connect', 'http'] as const;
export type Framework = (typeof ALL)[number];

/** All frameworks, or those listed in AUTHKIT_FRAMEWORKS. */
export const FRAMEWORKS: readonly Framework[] = ALL.filter(
  (framework) => process.env['AUTHKIT_FRAMEWORKS']?.split(',').includes(framework) ?? true,
);

export interface Site {
  origin: string;
  server: Server;
  /** Errors that reached the framework's own error handling. */
  errors: unknown[];
  close: () => Promise<void>;
}

/** Starts an application on a free port. `build` receives the origin, which redirect URIs need. */
export async function serve(framework: Framework, build: (app: App, origin: string) => void): Promise<Site> {
  let listener: RequestListener = () => undefined;
  const server = createServer((req, res) => {
    listener(req, res);
  });
  // The backlog holds all connections of a test: on a busy machine, the default of 511 fills up before the first one is
  // accepted. A keep-alive connection must not time out just as a client that had to wait uses it.
  server.keepAliveTimeout = 120_000;
  await new Promise<void>((resolve) => server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const errors: unknown[] = [];
  listener = MAKERS[framework]((app) => {
    build(app, origin);
  }, errors);
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => {
        resolve();
      });
      server.closeAllConnections();
    });
  return { origin, server, errors, close };
}

type Maker = (build: (app: App) => void, errors: unknown[]) => RequestListener;

/** Handles an unhandled error as a framework does: responds with the error's status and no page. */
function answerError(error: unknown, res: ServerResponse, errors: unknown[]): void {
  errors.push(error);
  handedOut(error);
  const { status = 500 } = error as { status?: number };
  if (!res.headersSent) res.writeHead(status, { 'Content-Type': 'text/plain' });
  res.end('error');
}

const MAKERS: Record<Framework, Maker> = {
  express5: (build, errors) => withExpress(express() as unknown as ExpressLike, build, errors),
  express4: (build, errors) => withExpress(express4() as ExpressLike, build, errors),
  connect: (build, errors) => {
    const app = connect();
    build({
      use: (...args) => {
        if (args.length === 1) app.use(args[0]);
        else app.use(args[0], args[1]);
      },
      route: (path, ...handlers) => {
        for (const handler of handlers) app.use(path, handler);
      },
    });
    app.use((error: unknown, _req: IncomingMessage, res: ServerResponse, _next: Next) => {
      answerError(error, res, errors);
    });
    return app;
  },
  http: (build, errors) => {
    const chain: { path?: string; handler: Handler }[] = [];
    build({
      use: (...args) => {
        chain.push(args.length === 1 ? { handler: args[0] } : { path: args[0], handler: args[1] });
      },
      route: (path, ...handlers) => {
        for (const handler of handlers) chain.push({ path, handler });
      },
    });
    return (req, res) => {
      const step = (index: number, error?: unknown): void => {
        if (error !== undefined) {
          answerError(error, res, errors);
          return;
        }
        const link = chain[index];
        if (!link) {
          res.writeHead(404).end();
        } else if (link.path === undefined || req.url?.split('?', 1)[0] === link.path) {
          link.handler(req, res, (problem) => {
            step(index + 1, problem);
          });
        } else {
          step(index + 1);
        }
      };
      step(0);
    };
  },
};

interface ExpressLike {
  (req: IncomingMessage, res: ServerResponse): void;
  set: (name: string, value: unknown) => void;
  use: (...args: unknown[]) => void;
  all: (path: string, ...handlers: Handler[]) => void;
}

function withExpress(app: ExpressLike, build: (app: App) => void, errors: unknown[]): RequestListener {
  app.set('env', 'test');
  build({
    use: (...args) => {
      app.use(...args);
    },
    route: (path, ...handlers) => {
      app.all(path, ...handlers);
    },
    set: (name, value) => {
      app.set(name, value);
    },
  });
  app.use((error: unknown, _req: IncomingMessage, res: ServerResponse, _next: Next) => {
    answerError(error, res, errors);
  });
  return app;
}
