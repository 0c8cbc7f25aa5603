import { expect, test } from 'vitest';
import { NAVIGATION, send } from '../support/browser.js';
import { createTestApp } from '../support/app.js';
import { FRAMEWORKS } from '../support/frameworks.js';

test.each(FRAMEWORKS)('the path of redirectUri is never read as a pattern, on %s', async (framework) => {
  for (const prefix of [
    '/$app',
    '/a+b',
    '/a(b)',
    '/a[b]',
    '/a|b',
    '/a*b',
    '/:team',
    '/a{b}',
    '/a!b',
    '/a.b',
    '/a^b',
  ]) {
    const { origin } = await createTestApp(framework, {
      callback: `${prefix}/callback`,
      routes: (app) => {
        app.use((_req, res) => {
          res.statusCode = 418;
          res.end();
        });
      },
    });
    const statusOf = async (path: string) => (await send(origin + path, { headers: NAVIGATION })).status;
    const { pathname } = new URL(origin + prefix);
    expect([prefix, await statusOf(`${pathname}/login`)]).toEqual([prefix, 302]);
    expect([prefix, await statusOf(`${pathname}/login/google`)]).toEqual([prefix, 302]);
    for (const other of ['/other/login', '/axb/login', '/ab/login', '/aab/login'])
      expect([prefix, other, await statusOf(other)]).toEqual([prefix, other, 418]);
  }
});
