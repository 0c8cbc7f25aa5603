import { expect, test } from 'vitest';
import { FRAMEWORKS } from '../support/frameworks.js';
import { Browser, type Reply } from '../support/browser.js';
import { ADA, createTestApp } from '../support/app.js';

const goesOnByItself = ({ body }: Reply) => body.includes('http-equiv="refresh"');
const linksTo = ({ body }: Reply) => /<a href="([^"]+)"/.exec(body)?.[1];

test.each(FRAMEWORKS)(
  'with strict cookies on %s, the landing page goes on by itself only if the sign-in began here',
  async (framework) => {
    const { origin, workos } = await createTestApp(framework, {
      authkit: { cookie: { sameSite: 'strict' } },
      routes: (app, auth) => {
        app.route('/start', (req, res, next) => {
          auth.getSignInUrl(req, res, { returnTo: '/open' }).then((url) => {
            res.writeHead(302, { Location: url }).end();
          }, next);
        });
      },
    });
    for (const [path, site, isHere] of [
      ['/login?returnTo=/open', 'same-origin', true],
      ['/login?returnTo=/open', 'same-site', true],
      ['/login?returnTo=/open', 'none', true],
      ['/login?returnTo=/open', 'cross-site', false],
      ['/login?returnTo=/open', 'anything', false],
      ['/login?returnTo=/open', '', false],
      ['/start', 'cross-site', true],
    ] as const) {
      const browser = new Browser();
      const login = await browser.go(origin + path, { headers: { 'sec-fetch-site': site } });
      const callback = await workos.authorize(login.location!, { user: ADA });
      // The callback request always comes from WorkOS, which is a different site.
      const landed = await browser.go(callback, { headers: { 'sec-fetch-site': 'cross-site' } });
      expect([path, site, landed.status, goesOnByItself(landed)]).toEqual([path, site, 200, isHere]);
      expect(linksTo(landed)).toBe('/open');
    }
  },
);

test('with lax cookies there is no landing page, wherever the sign-in began', async () => {
  const { origin, workos, browser } = await createTestApp('express5');
  const login = await browser.go(`${origin}/login?returnTo=/open`, {
    headers: { 'sec-fetch-site': 'cross-site' },
  });
  const landed = await browser.go(await workos.authorize(login.location!, { user: ADA }));
  expect([landed.status, landed.location]).toEqual([302, `${origin}/open`]);
});
