import { describe, expect, onTestFinished, test } from 'vitest';
import { requireAuth, signedIn } from 'authkit-express';
import { FRAMEWORKS, type Handler } from '../support/frameworks.js';
import { FETCH, send } from '../support/browser.js';
import { ADA, createTestApp } from '../support/app.js';

describe.each(FRAMEWORKS)('a req.auth that cannot be replaced, on %s', (framework) => {
  const plant: Record<string, Handler> = {
    'defined by another middleware': (req, _res, next) => {
      Object.defineProperty(req, 'auth', { value: { payload: {} }, configurable: false, writable: false });
      next();
    },
    'on a request that takes no more properties': (req, _res, next) => {
      Object.assign(req, { auth: 1, user: 2 });
      for (const name of ['auth', 'user']) Object.defineProperty(req, name, { configurable: false });
      next();
    },
  };
  test.each(Object.keys(plant))('is one warning and no failed request: %s', async (name) => {
    const warnings: string[] = [];
    const listen = (warning: Error & { code?: string }) => {
      if (warning.code === 'AUTHKIT_REQUEST_PROPERTY') warnings.push(warning.message);
    };
    process.on('warning', listen);
    onTestFinished(() => void process.off('warning', listen));
    const { origin, cookie } = await createTestApp(framework, {
      mount: (app, auth) => {
        app.use(plant[name]!);
        app.use(auth);
      },
      routes: (app) => {
        app.route('/me', requireAuth(), (req, res) => res.end(signedIn(req).user.email));
      },
    });
    const headers = { ...FETCH, cookie: await cookie({ user: ADA }) };
    for (let i = 0; i < 3; i += 1) expect((await send(`${origin}/me`, { headers })).body).toBe(ADA);
    expect((await send(`${origin}/me`, { headers: FETCH })).status).toBe(401);
    // Once per process and property, whichever test runs first.
    expect(warnings.length).toBeLessThanOrEqual(2);
    expect(new Set(warnings).size).toBe(warnings.length);
  });
});
