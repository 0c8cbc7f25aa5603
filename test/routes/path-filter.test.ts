import { request } from 'node:http';
import { expect, test } from 'vitest';
import { createTestApp } from '../support/app.js';
import { FRAMEWORKS } from '../support/frameworks.js';

/** The status of a request whose target is sent exactly as given. */
function statusOf(origin: string, target: string): Promise<number | undefined> {
  const { hostname, port } = new URL(origin);
  return new Promise((resolve, reject) => {
    request({ hostname, port, path: target, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on('error', reject)
      .end();
  });
}

test.each(FRAMEWORKS)(
  'a target with a backslash reaches a route if the router reads it so, on %s',
  async (framework) => {
    const { origin } = await createTestApp(framework, {
      callback: '/auth/callback',
      routes: (app) => {
        app.use((_req, res) => {
          res.statusCode = 418;
          res.end();
        });
      },
    });
    expect(await statusOf(origin, '/auth\\login#')).toBe(302);
    expect(await statusOf(origin, '/auth\\login')).toBe(418);
    expect(await statusOf(origin, '/a?/auth\\login#')).toBe(418);
  },
);

test.each(FRAMEWORKS)(
  'every spelling of a route reaches it, and no other path does, on %s',
  async (framework) => {
    const { origin } = await createTestApp(framework, {
      routes: (app) => {
        app.use((_req, res) => {
          res.statusCode = 418;
          res.end();
        });
      },
    });
    const routes = [
      '/login',
      '/LOGIN',
      '/Login/',
      '/login?a=1',
      '/login/?a=1',
      '/login/google',
      `${origin}/login`,
    ];
    for (const target of routes) expect(await statusOf(origin, target), target).toBe(302);
    const others = [
      '/',
      '/loginx',
      '/login-2',
      '/login.html',
      '/logi',
      '/x/login',
      '/login~',
      '/%6Cogin',
      '/a?/login',
    ];
    for (const target of others) expect(await statusOf(origin, target), target).toBe(418);
  },
);
