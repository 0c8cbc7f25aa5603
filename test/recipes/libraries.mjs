// Libraries that people use beside this package: each with a guard, a sign-in and a refresh.
import assert from 'node:assert/strict';
import { createServer, request } from 'node:http';
import express from 'express';
import { authkit, requireAuth, signedIn } from 'authkit-express';
import { createTestWorkOS } from 'authkit-express/testing';

/** The default export, or the module itself. */
const load = async (name) => {
  const module = await import(name);
  return module.default ?? module;
};

function account(req, res) {
  res.setHeader('Content-Type', 'application/json');
  res.end(JSON.stringify({ email: signedIn(req).user.email }));
}

/** An Express app with a library before `authkit()`, or after it. */
const withExpress =
  ({ before, after }) =>
  async (options) => {
    const app = express();
    await before?.(app);
    app.use(authkit(options));
    await after?.(app);
    return app.get('/account', requireAuth(), account);
  };

const before = (add) => withExpress({ before: add });
const after = (add) => withExpress({ after: add });

/** By name: a function that takes the options of `authkit()` and returns a listener for requests. */
export const libraries = {
  compression: before(async (app) => app.use((await load('compression'))({ threshold: 0 }))),
  morgan: before(async (app) => app.use((await load('morgan'))(() => undefined))),
  multer: before(async (app) => app.use((await load('multer'))().none())),
  'express-rate-limit': before(async (app) => app.use((await load('express-rate-limit'))({ limit: 100 }))),
  'cookie-session': before(async (app) => {
    app.use((await load('cookie-session'))({ keys: ['key'] }), (req, _res, next) => {
      req.session.visits = (req.session.visits ?? 0) + 1;
      next();
    });
  }),
  csurf: before(async (app) => {
    app.use((await load('cookie-session'))({ keys: ['key'] }), (await load('csurf'))());
  }),
  'swagger-ui-express': after(async (app) => {
    const { serve, setup } = await load('swagger-ui-express');
    app.use('/docs', requireAuth(), serve, setup({ openapi: '3.0.0' }));
  }),
  'graphql-yoga': async (options) => {
    const { createSchema, createYoga } = await import('graphql-yoga');
    const typeDefs = 'type Query { email: String }';
    const resolvers = { Query: { email: (_root, _args, { req }) => req.auth.user.email } };
    const yoga = createYoga({ schema: createSchema({ typeDefs, resolvers }), graphqlEndpoint: '/account' });
    return queried(
      '/account?query={email}',
      express().use(authkit(options)).use('/account', requireAuth(), yoga),
    );
  },
  tRPC: async (options) => {
    const { initTRPC } = await import('@trpc/server');
    const { createExpressMiddleware } = await import('@trpc/server/adapters/express');
    const trpc = initTRPC.context().create();
    const router = trpc.router({ me: trpc.procedure.query(({ ctx }) => ctx.email) });
    const createContext = ({ req }) => ({ email: signedIn(req).user.email });
    const app = express().use(authkit(options));
    return queried(
      '/account/me',
      app.use('/account', requireAuth(), createExpressMiddleware({ router, createContext })),
    );
  },
  'Apollo Server': async (options) => {
    const { ApolloServer } = await import('@apollo/server');
    const { expressMiddleware } = await import('@as-integrations/express5');
    const typeDefs = 'type Query { email: String }';
    const resolvers = { Query: { email: (_root, _args, { email }) => email } };
    const server = new ApolloServer({ typeDefs, resolvers, csrfPrevention: false });
    await server.start();
    const context = async ({ req }) => ({ email: signedIn(req).user.email });
    const app = express().use(authkit(options), express.json());
    return queried(
      '/account?query={email}',
      app.use('/account', requireAuth(), expressMiddleware(server, { context })),
    );
  },
  '@vendia/serverless-express': async (options) => {
    const app = express().use(authkit(options)).get('/account', requireAuth(), account);
    const handler = (await load('@vendia/serverless-express'))({ app });
    return async (req, res) => {
      const { statusCode, headers, cookies = [], body } = await handler(eventOf(req), {});
      res.writeHead(statusCode, { ...headers, 'set-cookie': cookies }).end(body);
    };
  },
  polka: async (options) => {
    const app = (await load('polka'))();
    app.use(authkit(options)).get('/account', requireAuth(), account);
    return app.handler.bind(app);
  },
  'koa-connect': async (options) => {
    const [Koa, connect] = [await load('koa'), await load('koa-connect')];
    const app = new Koa().use(connect(authkit(options))).use(connect(requireAuth()));
    app.use((context) => {
      context.body = { email: signedIn(context.req).user.email };
    });
    return app.callback();
  },
  '@fastify/express': (options) => withFastify('@fastify/express', options),
  '@fastify/middie': (options) => withFastify('@fastify/middie', options),
  restify: async (options) => {
    const server = (await load('restify')).createServer();
    // Before restify looks for a route, which it has none of for /login.
    server.pre(authkit(options));
    server.get('/account', requireAuth(), (req, res, next) => {
      account(req, res);
      next();
    });
    return (req, res) => server.server.emit('request', req, res);
  },
};

async function withFastify(plugin, options) {
  const app = (await load('fastify'))();
  await app.register(await load(plugin));
  app.use(authkit(options));
  app.use('/account', requireAuth());
  app.get('/account', ({ raw }) => ({ email: signedIn(raw).user.email }));
  await app.ready();
  return app.routing;
}

/** How API Gateway describes a request to a function, in version 2.0. */
function eventOf({ method, url, headers: { cookie, ...headers } }) {
  const { pathname, search, searchParams } = new URL(url, 'http://localhost');
  return {
    version: '2.0',
    routeKey: '$default',
    rawPath: pathname,
    rawQueryString: search.slice(1),
    queryStringParameters: Object.fromEntries(searchParams),
    cookies: cookie?.split('; '),
    headers,
    requestContext: {
      http: { method, path: pathname, protocol: 'HTTP/1.1', sourceIp: '127.0.0.1', userAgent: 'test' },
      stage: '$default',
    },
    isBase64Encoded: false,
  };
}

/** An API that has another address for the account. */
function queried(path, app) {
  return (req, res) => {
    if (req.url === '/account') req.url = path;
    app(req, res);
  };
}

const NAVIGATION = { accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };

function get(url, headers) {
  return new Promise((resolve, reject) => {
    const sent = request(url, { headers, agent: false }, async (response) => {
      const { location, 'set-cookie': lines = [] } = response.headers;
      const cookies = lines.map((line) => line.split(';')[0]);
      resolve({ status: response.statusCode, location, cookies, body: (await response.toArray()).join('') });
    });
    sent.on('error', reject).end();
  });
}

const ADA = 'ada@example.com';

/** Signs in at the app, and opens a guarded page with this session and with one that has to be refreshed. */
export async function tryLibrary(create) {
  const workos = await createTestWorkOS();
  const server = createServer((req, res) => listener(req, res));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${server.address().port}`;
  const listener = await create({ ...workos.options, redirectUri: `${origin}/callback` });
  assert.equal((await get(`${origin}/account`, { accept: '*/*' })).status, 401);
  const login = await get(`${origin}/login?returnTo=/account`, NAVIGATION);
  const callback = await workos.authorize(login.location, { user: ADA });
  const back = await get(callback, { ...NAVIGATION, cookie: login.cookies.join('; ') });
  assert.equal(back.location, '/account');
  const signedInPage = await get(`${origin}/account`, { cookie: back.cookies.join('; ') });
  assert.match(signedInPage.body, /ada@example\.com/);
  const expired = await workos.signIn({ user: ADA, expiresIn: -1 });
  const refreshed = await get(`${origin}/account`, { cookie: expired });
  assert.match(refreshed.body, /ada@example\.com/);
  assert.ok(refreshed.cookies.some((cookie) => cookie.startsWith('wos-session=')));
  server.closeAllConnections();
  server.close();
  await workos.close();
}
