// Imported in advance, so that loading the SDK does not use up the time limit of the first call to WorkOS.
import '@workos-inc/node';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { onTestFinished } from 'vitest';
import { authkit, requireAuth, type Auth, type AuthKit, type GuardRule } from 'authkit-express';
import { createTestWorkOS, type TestWorkOS, type TestWorkOSOptions } from 'authkit-express/testing';
import { handedOut } from './leak-checks/index.js';
import { serve, type App, type Framework, type Handler, type Site } from './frameworks.js';
import { Browser, type Reply } from './browser.js';
import { createProxy, type Proxy } from './proxy.js';

export type Options = NonNullable<Parameters<typeof authkit>[0]>;

export interface TestApp extends Application {
  workos: TestWorkOS;
  browser: Browser;
  proxy: Proxy | undefined;
  /** Signs a user in as a browser does, starting at one of the application's pages. Returns the last response. */
  signIn: (user?: string, path?: string, browser?: Browser) => Promise<Reply & { url: string }>;
  /** Makes a session cookie without a sign-in. */
  cookie: (session?: Parameters<TestWorkOS['signIn']>[0]) => Promise<string>;
  /** Starts the same application as a second process, with the given options changed. */
  sibling: (authkit?: Options) => Promise<Application>;
}

export interface Application {
  site: Site;
  origin: string;
  auth: AuthKit;
  /** How often the guarded handler ran. */
  served: () => number;
}

export interface TestAppOptions {
  workos?: TestWorkOSOptions;
  authkit?: Options;
  /** Path of the callback, which determines the prefix. */
  callback?: string;
  /** Replaces `app.use(auth)`. */
  mount?: (app: App, auth: AuthKit) => void;
  routes?: (app: App, auth: AuthKit, place: { origin: string; workos: TestWorkOS }) => void;
  rule?: GuardRule;
  /** Puts a proxy that can simulate network failures between the application and WorkOS. */
  proxied?: boolean;
}

export const ADA = 'ada@example.com';

type WithAuth = IncomingMessage & { auth: Auth; user?: { id: string; email: string } };

/** Responds with the signed-in user as JSON. */
export const whoami: Handler = (req, res) => {
  const { auth, user } = req as WithAuth;
  const told =
    auth.type === null
      ? { reason: auth.reason, loginUrl: auth.loginUrl }
      : { type: auth.type, ...('sessionId' in auth ? { sessionId: auth.sessionId } : {}) };
  json(res, { email: user?.email ?? null, ...told });
};

export function json(res: ServerResponse, body: unknown): void {
  res.setHeader('Content-Type', 'application/json');
  res.end(JSON.stringify(body));
}

/**
 * Creates a test WorkOS, an application with a public `/open` and a guarded `/account`, and a browser. All are closed
 * at the end of the test.
 */
export async function createTestApp(framework: Framework, options: TestAppOptions = {}): Promise<TestApp> {
  const workos = await createTestWorkOS(options.workos);
  onTestFinished(() => workos.close());
  const proxy = options.proxied ? await createProxy(workos.options.apiPort) : undefined;
  if (proxy) onTestFinished(() => proxy.close());
  // Tokens name the WorkOS behind the proxy as their issuer.
  const issuer = `${workos.url}/user_management/${workos.options.clientId}`;
  const near: Options = proxy ? { apiPort: proxy.port, issuer } : {};
  const own = { ...options, authkit: { ...near, ...options.authkit } };
  const application = await start(framework, workos, own);
  const { origin } = application;
  const browser = new Browser();
  return {
    ...application,
    workos,
    browser,
    proxy,
    async signIn(user = ADA, path = '/account', by = browser) {
      const away = await by.follow(origin + path);
      return by.follow(await workos.authorize(away.location!, { user }));
    },
    cookie: (session) => workos.signIn(session),
    sibling: (authkit) => start(framework, workos, { ...own, authkit: { ...own.authkit, ...authkit } }),
  };
}

/** The same, on a clock that only `workos.clock.advance` moves. Budgets and pauses then do not depend on real time. */
export const createFrozenTestApp: typeof createTestApp = (framework, options) =>
  createTestApp(framework, { ...options, workos: { now: Date.now(), ...options?.workos } });

async function start(
  framework: Framework,
  workos: TestWorkOS,
  options: TestAppOptions,
): Promise<Application> {
  let auth!: AuthKit;
  let count = 0;
  const site = await serve(framework, (app, origin) => {
    const redirectUri = origin + (options.callback ?? '/callback');
    const { onError } = options.authkit ?? {};
    const watched: Options = onError
      ? {
          onError: (context) => {
            handedOut(context.error);
            return onError(context);
          },
        }
      : {};
    auth = authkit({ ...workos.options, redirectUri, ...options.authkit, ...watched });
    if (options.mount) options.mount(app, auth);
    else app.use(auth);
    app.route('/open', whoami);
    app.route('/account', options.rule ? requireAuth(options.rule) : requireAuth(), (req, res, next) => {
      count += 1;
      whoami(req, res, next);
    });
    options.routes?.(app, auth, { origin, workos });
  });
  onTestFinished(() => site.close());
  return { site, origin: site.origin, auth, served: () => count };
}
