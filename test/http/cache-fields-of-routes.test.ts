import { expect, test } from 'vitest';
import { FRAMEWORKS } from '../support/frameworks.js';
import { FETCH, NAVIGATION, send } from '../support/browser.js';
import { createTestApp } from '../support/app.js';

const TARGETED = ['CDN-Cache-Control', 'Surrogate-Control', 'X-Accel-Expires', 'Expires'];

test.each(FRAMEWORKS)(
  'T56 on %s, no response of a route has a field of an earlier middleware that outranks no-store',
  async (framework) => {
    const { origin, cookie } = await createTestApp(framework, {
      mount: (app, auth) => {
        app.use((_req, res, next) => {
          for (const name of TARGETED) res.setHeader(name, 'public, max-age=600');
          next();
        });
        app.use(auth);
      },
      routes: (app, auth) => {
        app.route('/sign-out', (req, res, next) => {
          auth.signOut(req, res).catch(next);
        });
      },
    });
    const session = await cookie();
    for (const [path, kind] of [
      ['/callback', NAVIGATION],
      ['/callback?code=x&state=y', NAVIGATION],
      ['/callback?code=x', NAVIGATION],
      ['/logout', NAVIGATION],
      ['/login', FETCH],
      ['/sign-out', FETCH],
    ] as const) {
      const { headers } = await send(origin + path, {
        headers: { ...kind, 'sec-fetch-site': 'cross-site', cookie: session },
      });
      const left = TARGETED.filter((name) => headers[name.toLowerCase()] !== undefined);
      expect([path, headers['cache-control'], left]).toEqual([path, 'private, no-store', []]);
    }
  },
);
