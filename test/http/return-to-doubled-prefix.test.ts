import { expect, test } from 'vitest';
import { Browser, NAVIGATION } from '../support/browser.js';
import { ADA, createTestApp } from '../support/app.js';
import { FRAMEWORKS } from '../support/frameworks.js';

test.each(FRAMEWORKS.filter((framework) => framework !== 'http'))(
  'T06 a returnTo does not name a route by the path that repeats the mount point, on %s',
  async (framework) => {
    const { origin, workos } = await createTestApp(framework, {
      callback: '/auth/callback',
      authkit: { routes: { connect: '/connect' } },
      mount: (app, auth) => {
        app.use('/auth', auth);
      },
    });
    const paths = [
      '/logout',
      '/AUTH/Logout/',
      '/login',
      '/login/google',
      '/connect/github',
      '//logout',
      '/%6Cogout',
    ];
    for (const path of paths) {
      const browser = new Browser();
      const returnTo = encodeURIComponent(`/auth/auth${path.replace(/^\/AUTH/, '')}`);
      const login = await browser.go(`${origin}/auth/login?returnTo=${returnTo}`, { headers: NAVIGATION });
      const back = await browser.go(await workos.authorize(login.location!, { user: ADA }));
      expect([path, back.location]).toEqual([path, `${origin}/`]);
    }
  },
);
