import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import { type AuthKit, requireAuth } from 'authkit-express';
import { ADA, createFrozenTestApp, createTestApp, type Options, whoami } from '../support/app.js';
import { Browser } from '../support/browser.js';
import { ROOT } from '../support/documentation.js';
import { type App, FRAMEWORKS, type Framework } from '../support/frameworks.js';

const REFUSALS = ['login_required', 'interaction_required', 'consent_required', 'account_selection_required'];

async function start(framework: Framework, authkit: Options = {}) {
  const app = await createTestApp(framework, {
    authkit,
    routes: (site, auth) => {
      site.route('/silent', (req, res, next) => {
        auth.getSignInUrl(req, res, { prompt: 'none', returnTo: '/open?page=2' }).then((url) => {
          res.writeHead(302, { Location: url }).end();
        }, next);
      });
      site.route('/guarded', requireAuth(), whoami);
    },
  });
  /** Starts a sign-in at a path, has WorkOS answer it with an error, and returns the response of the callback. */
  const refuse = async (path: string, error: string, browser = new Browser()) => {
    const away = await browser.follow(app.origin + path);
    const { state } = Object.fromEntries(new URL(away.location!).searchParams);
    const callback = new URL('/callback', app.origin);
    callback.search = new URLSearchParams({ error, state: state! }).toString();
    return browser.go(callback.href);
  };
  return { ...app, refuse };
}

describe.each(FRAMEWORKS)('a sign-in with prompt=none on %s', (framework) => {
  test.each(REFUSALS)('returns to the page signed out if WorkOS answers %s', async (error) => {
    const { origin, refuse } = await start(framework);
    for (const path of ['/silent', '/login?prompt=none&returnTo=/open?page=2']) {
      const reply = await refuse(path, error);
      expect([reply.status, reply.location], path).toEqual([302, `${origin}/open?page=2`]);
      expect(reply.setCookies.join(), path).not.toContain('wos-session=');
    }
  });

  test('signs in a user who has a session at WorkOS', async () => {
    const { origin, browser, workos } = await start(framework);
    const away = await browser.follow(`${origin}/silent`);
    expect(new URL(away.location!).searchParams.get('prompt')).toBe('none');
    const back = await browser.follow(await workos.authorize(away.location!, { user: ADA }));
    expect(back.url).toBe(`${origin}/open?page=2`);
    expect(JSON.parse(back.body)).toMatchObject({ email: ADA, type: 'session' });
  });

  test('goes on signed out without one, as the test WorkOS answers it', async () => {
    const { origin, browser, workos } = await start(framework);
    const away = await browser.follow(`${origin}/silent`);
    const back = await browser.follow(await workos.authorize(away.location!));
    expect(back.url).toBe(`${origin}/open?page=2`);
    expect(JSON.parse(back.body)).toMatchObject({ email: null, reason: 'none' });
  });
});

test.each(['access_denied', 'server_error', 'invalid_scope'])(
  '%s is an error, also of a silent sign-in',
  async (error) => {
    const { refuse } = await start('express5');
    expect((await refuse('/silent', error)).status).toBeGreaterThanOrEqual(400);
  },
);

test.each(REFUSALS)('%s is an error of a sign-in that is not silent', async (error) => {
  const { refuse } = await start('express5');
  for (const path of ['/login', '/login?prompt=login']) expect((await refuse(path, error)).status).toBe(400);
});

test('a step that WorkOS requires ends a silent sign-in signed out, and no page is shown', async () => {
  const { origin, browser, workos } = await start('express5');
  workos.requireStep({ code: 'organization_selection_required', on: 'code' });
  const away = await browser.follow(`${origin}/silent`);
  const back = await browser.follow(await workos.authorize(away.location!, { user: ADA }));
  expect([back.status, back.url]).toEqual([200, `${origin}/open?page=2`]);
  expect(JSON.parse(back.body)).toMatchObject({ email: null });
});

test('after it, a guarded page leads to a sign-in that shows its page', async () => {
  const { origin, browser, refuse, workos } = await start('express5');
  expect((await refuse('/login?prompt=none&returnTo=/guarded', 'login_required', browser)).location).toBe(
    `${origin}/guarded`,
  );
  const away = await browser.follow(`${origin}/guarded`);
  expect(new URL(away.location!).searchParams.get('prompt')).toBe(null);
  const back = await browser.follow(await workos.authorize(away.location!, { user: ADA }));
  expect([back.status, back.url]).toEqual([200, `${origin}/guarded`]);
});

test('if every sign-in is silent, a guarded page ends in an error and not in a redirect loop', async () => {
  const { origin, browser, refuse } = await start('express5', { signIn: { prompt: 'none' } });
  expect((await refuse('/guarded', 'login_required', browser)).location).toBe(`${origin}/guarded`);
  const again = await refuse('/guarded', 'login_required', browser);
  expect([again.status, again.location]).toEqual([400, undefined]);
});

test.each(['lax', 'strict'] as const)(
  'if every sign-in is silent, a step-up that WorkOS cannot complete ends in an error, with sameSite %s',
  async (sameSite) => {
    const app = await createFrozenTestApp('express5', {
      rule: { maxAge: 60 },
      authkit: { cookie: { sameSite }, signIn: { prompt: 'none' } },
    });
    const { origin, browser, workos } = app;
    await browser.jar.setCookie(await app.cookie({ user: ADA }), origin);
    workos.clock.advance(90_000);
    const away = await browser.go((await browser.go(`${origin}/account`)).location!);
    const { state, max_age: maxAge } = Object.fromEntries(new URL(away.location!).searchParams);
    expect(maxAge).toBe('60');
    const callback = `${origin}/callback?error=login_required&state=${encodeURIComponent(state!)}`;
    // Browsers do not send `strict` cookies to the callback, because the redirect comes from another site.
    if (sameSite === 'strict') await browser.jar.setCookie('wos-session=; Max-Age=0', origin);
    const reply = await browser.go(callback);
    expect([reply.status, reply.location]).toEqual([400, undefined]);
  },
);

test('a silent sign-in of another browser is an error', async () => {
  const { origin, refuse } = await start('express5');
  const other = new Browser();
  await other.follow(`${origin}/silent`);
  const away = await new Browser().follow(`${origin}/silent`);
  const { state } = Object.fromEntries(new URL(away.location!).searchParams);
  const reply = await other.go(`${origin}/callback?error=login_required&state=${encodeURIComponent(state!)}`);
  expect(reply.status).toBe(400);
  expect((await refuse('/silent', 'login_required', other)).status).toBe(302);
});

test('the recipe of the documentation tries it once in each browser session, on Express 5 and 4', async () => {
  const page = readFileSync(join(ROOT, 'docs/sign-in.md'), 'utf8');
  const [, block = ''] = /```ts\n(.*?)```/s.exec(page.split('## Silent sign-in\n')[1]!)!;
  const recipe = ts.transpile(block, { target: ts.ScriptTarget.ES2022 });
  for (const framework of ['express5', 'express4'] as const) {
    const { origin, browser, workos } = await createTestApp(framework, {
      mount: (app, auth) => {
        // eslint-disable-next-line @typescript-eslint/no-implied-eval -- the text is a page of this repository
        const run = new Function('authkit', 'app', recipe) as (authkit: () => AuthKit, app: App) => void;
        run(() => auth, app);
      },
    });
    const first = await browser.go(`${origin}/open?a=1`);
    expect(new URL(first.location!).searchParams.get('prompt')).toBe('none');
    const back = await browser.follow(await workos.authorize(first.location!));
    expect([back.status, back.url]).toEqual([200, `${origin}/open?a=1`]);
    expect((await browser.go(`${origin}/open?a=2`)).status).toBe(200);

    const other = new Browser();
    expect((await other.fetch(`${origin}/open`)).status, 'a script').toBe(200);
    const away = await other.go(`${origin}/open`);
    const signedIn = await other.follow(await workos.authorize(away.location!, { user: ADA }));
    expect(JSON.parse(signedIn.body)).toMatchObject({ email: ADA });
  }
});
