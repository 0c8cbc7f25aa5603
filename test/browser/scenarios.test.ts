import type { ServerResponse } from 'node:http';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { authkit, requireAuth, signedIn } from 'authkit-express';
import { hasChromium, launch } from '../support/chromium.js';
import { createTestApp, type Options, type TestApp, type TestAppOptions } from '../support/app.js';

let browser: Browser;
beforeAll(async () => {
  if (hasChromium) browser = await launch({ withBackForwardCache: true });
});
afterAll(() => (hasChromium ? browser.close() : undefined));

async function person(): Promise<BrowserContext> {
  const context = await browser.newContext();
  onTestFinished(() => context.close());
  return context;
}

const tab = async () => (await person()).newPage();

/** Signs in on the page of the test WorkOS. */
async function choose(page: Page, action: 'click' | 'dblclick' = 'click'): Promise<void> {
  await page.getByRole('button', { name: /Ada/ }).first()[action]();
}

async function signIn(page: Page, url: string): Promise<void> {
  await page.goto(url);
  await choose(page);
  await page.waitForURL(url);
}

function html(res: ServerResponse, body: string): void {
  res.setHeader('Content-Type', 'text/html');
  res.end(`<!doctype html><title>Page</title>${body}`);
}

/** The same server under the name `localhost`, which is another site than WorkOS and than 127.0.0.1. */
const elsewhere = (origin: string) => origin.replace('127.0.0.1', 'localhost');

/** An application at `localhost`, with a guarded `/page`. */
async function atLocalhost(
  options: Options,
  extra: TestAppOptions = {},
): Promise<TestApp & { home: string }> {
  const at = await createTestApp('express5', {
    ...extra,
    mount: () => undefined,
    routes: (app, _, { origin, workos }) => {
      const own = authkit({ ...workos.options, redirectUri: `${elsewhere(origin)}/callback`, ...options });
      app.use(own);
      app.route('/page', own.requireAuth(), (req, res) => {
        html(res, `<h1>${signedIn(req).user.email}</h1>`);
      });
    },
  });
  return { ...at, home: elsewhere(at.origin) };
}

describe.skipIf(!hasChromium)('in Chromium', () => {
  test('B01 of more sign-ins than a browser keeps cookies for, the newest finishes and the oldest gets an explanation', async () => {
    const { origin } = await createTestApp('express5');
    const page = await tab();
    const away: string[] = [];
    for (let count = 0; count < 7; count += 1) {
      await page.goto(`${origin}/login?returnTo=/open`, { waitUntil: 'commit' });
      away.push(page.url());
    }
    const names = (await page.context().cookies(origin)).map(({ name }) => name);
    expect(names).toHaveLength(5);
    const other = await tab();
    await other.goto(away.at(-1)!);
    await choose(other);
    expect(await other.textContent('h1'), 'another browser').toBe('This sign-in could not be finished');
    await page.goto(away[0]!);
    await choose(page);
    expect(await page.textContent('h1'), 'the oldest').toBe('This sign-in could not be finished');
    await page.goto(away.at(-1)!);
    await choose(page);
    await page.waitForURL(`${origin}/open`);
  });

  test('B02 opening a used callback from the history leads to the home page', async () => {
    const { origin, workos } = await createTestApp('express5');
    const page = await tab();
    let callback = '';
    page.on('request', (request) => {
      if (request.url().startsWith(`${origin}/callback`)) callback = request.url();
    });
    await signIn(page, `${origin}/account`);
    workos.clock.advance(11_000);
    await page.goto(callback);
    expect(page.url()).toBe(`${origin}/`);
    expect(workos.callsTo('code')).toHaveLength(1);
  });

  describe('B03 the back button after signing out', () => {
    const FETCH = `fetch('/logout?returnTo=/open', { method: 'POST' }).then((r) => r.json()).then((j) => location.replace(j.logoutUrl))`;
    const WAYS = {
      'a form':
        '<form method="post" action="/logout?returnTo=/open"><button id="out">Sign out</button></form>',
      'a link': '<a id="out" href="/logout?returnTo=/open">Sign out</a>',
      'a handler': '<form method="post" action="/leave"><button id="out">Sign out</button></form>',
      'a script': `<button id="out" onclick="${FETCH.replaceAll('"', '&quot;')}">Sign out</button>`,
    };
    // The driver does not see console messages of a page that is restored from the back/forward cache.
    const WITNESS = `<script>addEventListener('pageshow', () => navigator.sendBeacon('/seen'))</script>`;

    test.each(Object.entries(WAYS))(
      'signed out by %s, the guarded pages ask to sign in',
      async (name, way) => {
        const log: string[] = [];
        const { origin } = await createTestApp('express5', {
          mount: (app, auth) => {
            app.use((req, _res, next) => {
              log.push(req.url!.split('?')[0]!);
              next();
            });
            app.use(auth);
          },
          routes: (app, auth) => {
            app.route('/leave', (req, res) => void auth.signOut(req, res, { returnTo: '/open' }));
            app.route('/seen', (_req, res) => res.end());
            for (const path of ['/first', '/second'])
              app.route(path, requireAuth(), (_req, res) => {
                res.setHeader('ETag', '"one"');
                html(res, `${WITNESS}<h1>Secret</h1><a id="on" href="/second">On</a>${way}`);
              });
          },
        });
        const page = await tab();
        const reaches = (path: string) => expect.poll(() => log.slice(-2)).toContain(path);
        await signIn(page, `${origin}/first`);
        await reaches('/seen');
        await page.click('#on');
        await page.waitForURL(`${origin}/second`);
        await reaches('/seen');
        await page.click('#out');
        await page.waitForURL(`${origin}/open`);
        // The script has replaced its page.
        for (const earlier of name === 'a script' ? ['/first'] : ['/second', '/first']) {
          log.length = 0;
          void page.evaluate('history.back()').catch(() => undefined);
          await expect.poll(() => log).toContain('/login');
          expect(log).toEqual([earlier, '/login']);
          await page.waitForURL(/authorize/);
          await page.waitForLoadState();
        }
      },
    );
  });

  test('B04 a double click at WorkOS and a reload create one session', async () => {
    const { origin, workos } = await createTestApp('express5');
    const page = await tab();
    await page.goto(`${origin}/account`);
    await choose(page, 'dblclick');
    // The second click can abort the navigation of the first, which `waitForURL` reports as a failure.
    await expect.poll(() => page.url(), { timeout: 30_000 }).toBe(`${origin}/account`);
    await page.waitForLoadState();
    await page.reload();
    expect(await page.textContent('body')).toContain('ada@example.com');
    expect(workos.callsTo('code')).toHaveLength(1);
  });

  test('B05 with SameSite=Strict and WorkOS at another site, the first page is signed in', async () => {
    const { home, workos } = await atLocalhost({ cookie: { sameSite: 'strict' } });
    const page = await tab();
    await signIn(page, `${home}/page`);
    expect(await page.textContent('h1')).toBe('ada@example.com');
    expect(workos.callsTo('code')).toHaveLength(1);
    const [session] = (await page.context().cookies(home)).filter(({ name }) => name === 'wos-session');
    expect(session).toMatchObject({ sameSite: 'Strict', httpOnly: true });
  });

  test('B06 on http://localhost the browser keeps the cookies', async () => {
    const { home } = await atLocalhost({});
    const page = await tab();
    await signIn(page, `${home}/page`);
    const cookies = await page.context().cookies(home);
    expect(cookies.map(({ name, secure }) => [name, secure]).sort()).toEqual([
      ['wos-session', false],
      ['wos-signed-in', false],
    ]);
  });

  test('B07 a sign-in begun at localhost with a redirect URI at 127.0.0.1 ends in a page with a link to the right host', async () => {
    const { origin } = await createTestApp('express5');
    const page = await tab();
    await page.goto(`${elsewhere(origin)}/account`);
    await choose(page);
    expect(await page.textContent('h1')).toBe('This sign-in could not be finished');
    await page.getByRole('link', { name: 'Sign in' }).click();
    await choose(page);
    await page.waitForURL(`${origin}/`);
  });

  test('B08 another site that frames the application and posts into the frame cannot sign the user out', async () => {
    const { home } = await atLocalhost({});
    const page = await tab();
    await signIn(page, `${home}/page`);
    const evil = await createTestApp('express5', {
      routes: (app) => {
        app.route('/evil', (_req, res) => {
          const frames = `<iframe name="a" src="${home}/logout"></iframe><iframe name="b"></iframe>`;
          const form = `<form method="post" action="${home}/logout" target="b"><button>x</button></form>`;
          html(res, `${frames}${form}<img src="${home}/logout">`);
        });
      },
    });
    const other = await page.context().newPage();
    const answers: [method: string, status: number][] = [];
    other.on('response', (response) => {
      if (response.url().startsWith(`${home}/logout`))
        answers.push([response.request().method(), response.status()]);
    });
    await other.goto(`${evil.origin}/evil`);
    await other.click('button');
    await expect.poll(() => answers).toContainEqual(['POST', 403]);
    expect(other.frame('a')?.url(), 'framed').toMatch(/^chrome-error:/);
    await page.goto(`${home}/page`);
    expect(await page.textContent('h1')).toBe('ada@example.com');
  });

  test('B09 if a proxy drops the session cookie, the second sign-in ends in an error page', async () => {
    const { origin, workos } = await createTestApp('express5', {
      mount: (app, auth) => {
        app.use((_req, res, next) => {
          drop(res);
          next();
        });
        app.use(auth);
      },
    });
    const page = await tab();
    const guarded: string[] = [];
    page.on('request', (request) => {
      if (request.url() === `${origin}/account` && request.redirectedFrom()) guarded.push(request.url());
    });
    await page.goto(`${origin}/account`);
    await choose(page);
    // The guard has redirected the user again.
    await choose(page);
    expect(await page.textContent('h1')).toBe('Your sign-in was not kept');
    expect(guarded).toHaveLength(1);
    expect(workos.callsTo('code')).toHaveLength(1);
  });
});

/** A proxy that drops cookies of the session's size. */
function drop(res: ServerResponse): void {
  const writeHead = res.writeHead.bind(res) as (...args: unknown[]) => ServerResponse;
  res.writeHead = (...args: unknown[]) => {
    const lines = [res.getHeader('set-cookie') ?? []].flat().map(String);
    const kept = lines.filter((line) => !line.startsWith('wos-session='));
    if (lines.length > 0) res.setHeader('Set-Cookie', kept);
    return writeHead(...args);
  };
}
