import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import helmet from 'helmet';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { authkit, requireAuth, signedIn, type AuthKit } from 'authkit-express';
import { createTestApp, whoami, type Options, type TestApp } from '../support/app.js';
import { createCertificate } from '../support/certificate.js';
import type { App } from '../support/frameworks.js';
import { findProgram } from '../support/programs.js';
import {
  BLOCKED_HOST,
  browsersToTest,
  type RealBrowser,
  type Tab,
  type UserOptions,
} from '../support/real-browsers.js';

/** An address that is known before its application starts. */
interface Front {
  origin: string;
  forwardTo: (application: Server) => void;
  close: () => void;
}

async function listenAt(host: string, server: Server, scheme = 'http'): Promise<Front> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `${scheme}://${host}:${(server.address() as AddressInfo).port}`,
    forwardTo(application) {
      server.removeAllListeners('request');
      server.on('request', (req, res) => application.emit('request', req, res));
    },
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function listenWithTLS(): Promise<Front> {
  const folder = mkdtempSync(join(tmpdir(), 'authkit-tls-'));
  try {
    return await listenAt('localhost', createSecureServer(createCertificate(folder)), 'https');
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const SOON = { timeout: 20_000, interval: 40 };
const button = (text: string) => `//button[contains(., "${text}")]`;
const link = (text: string) => `//a[contains(., "${text}")]`;
const ADA = button('Ada');

const reaches = (tab: Tab, url: string | RegExp) => {
  const poll = expect.poll(() => tab.url(), SOON);
  return typeof url === 'string' ? poll.toBe(url) : poll.toMatch(url);
};
const shows = (tab: Tab, text: string) =>
  expect.poll(() => tab.run<string>('document.body.innerText'), SOON).toContain(text);

/** Signs in on the page of the test WorkOS. */
async function choose(tab: Tab, who = ADA, count: 1 | 2 = 1): Promise<void> {
  await reaches(tab, /authorize/);
  await tab.click(who, count);
}

async function signIn(tab: Tab, url: string): Promise<void> {
  await tab.open(url);
  await choose(tab);
  await reaches(tab, url);
}

function html(res: ServerResponse, body: string): void {
  res.setHeader('Content-Type', 'text/html');
  res.end(`<!doctype html><title>Page</title>${body}`);
}

/** The same server under the name `localhost`, which is a different site from WorkOS and 127.0.0.1. */
const elsewhere = (origin: string) => origin.replace('127.0.0.1', 'localhost');

interface LocalhostOptions {
  authkit?: Options;
  before?: (app: App) => void;
  routes?: (app: App, auth: AuthKit) => void;
}

/** An application at `localhost`, with a guarded `/page`. */
async function createAppAtLocalhost({ authkit: options, before, routes }: LocalhostOptions = {}): Promise<
  TestApp & { home: string }
> {
  const at = await createTestApp('express5', {
    mount: (app) => before?.(app),
    routes: (app, _, { origin, workos }) => {
      const own = authkit({ ...workos.options, redirectUri: `${elsewhere(origin)}/callback`, ...options });
      app.use(own);
      app.route('/page', own.requireAuth(), (req, res) => {
        html(res, `<h1>${signedIn(req).user.email}</h1>`);
      });
      routes?.(app, own);
    },
  });
  return { ...at, home: elsewhere(at.origin) };
}

/**
 * Appends each request to `log` as `GET /path`, followed by the result of `detail`. The icon is left out, because a
 * browser requests it at a moment of its own choice.
 */
function logRequests(app: App, log: string[], detail: (req: IncomingMessage) => string = () => ''): void {
  app.use((req, _res, next) => {
    const path = req.url!.split('?')[0]!;
    if (path !== '/favicon.ico') log.push(`${req.method} ${path}${detail(req)}`);
    next();
  });
}

for (const { name, missing, launch } of browsersToTest()) {
  if (missing !== undefined && process.env['AUTHKIT_BROWSERS'] === undefined)
    console.log(`skipped: ${name} is not installed; install it with: ${missing}`);

  describe.skipIf(missing !== undefined && process.env['AUTHKIT_BROWSERS'] === undefined)(
    `in ${name}`,
    () => {
      let browser: RealBrowser;
      let blocked: Front;
      beforeAll(async () => {
        if (missing !== undefined) throw new Error(`${name} is not installed; install it with: ${missing}`);
        blocked = await listenAt(BLOCKED_HOST, createServer());
        browser = await launch({ blockedOrigin: blocked.origin });
      });
      afterAll(async () => {
        blocked.close();
        await browser.close();
      });

      async function newTab(options?: UserOptions): Promise<Tab> {
        const { tab, close } = await browser.newUser(options);
        onTestFinished(close);
        return tab;
      }

      test('B01 of more sign-ins than a browser keeps cookies for, the newest finishes and the oldest gets an explanation', async () => {
        const { origin } = await createTestApp('express5');
        const tab = await newTab();
        const away: string[] = [];
        for (let count = 0; count < 7; count += 1) {
          await tab.open(`${origin}/login?returnTo=/open`);
          away.push(await tab.url());
        }
        expect(await tab.cookies()).toHaveLength(5);
        const other = await newTab();
        await other.open(away.at(-1)!);
        await choose(other);
        await shows(other, 'This sign-in could not be finished');
        await tab.open(away[0]!);
        await choose(tab);
        await shows(tab, 'This sign-in could not be finished');
        await tab.open(away.at(-1)!);
        await choose(tab);
        await reaches(tab, `${origin}/open`);
      });

      test('B02 opening a used callback from the history leads to the home page', async () => {
        const callbacks: string[] = [];
        const { origin, workos } = await createTestApp('express5', {
          mount: (app, auth) => {
            app.use((req, _res, next) => {
              if (req.url!.startsWith('/callback')) callbacks.push(req.url!);
              next();
            });
            app.use(auth);
          },
        });
        const tab = await newTab();
        await signIn(tab, `${origin}/account`);
        workos.clock.advance(11_000);
        await tab.open(origin + callbacks[0]!);
        await reaches(tab, `${origin}/`);
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
        // A driver cannot see a page that is restored from the back/forward cache.
        const WITNESS = `<script>addEventListener('pageshow', () => navigator.sendBeacon('/seen'))</script>`;

        test.each(Object.entries(WAYS))(
          'signed out by %s, the guarded pages ask to sign in',
          async (name, way) => {
            const log: string[] = [];
            const { origin } = await createTestApp('express5', {
              mount: (app, auth) => {
                logRequests(app, log);
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
            const tab = await newTab();
            const seen = (path: string) =>
              expect.poll(() => log.slice(-2), SOON).toEqual([`GET ${path}`, 'POST /seen']);
            await signIn(tab, `${origin}/first`);
            await seen('/first');
            await tab.click('//*[@id="on"]');
            await reaches(tab, `${origin}/second`);
            await seen('/second');
            await tab.click('//*[@id="out"]');
            await reaches(tab, `${origin}/open`);
            // The script has replaced the page that it was on.
            for (const earlier of name === 'a script' ? ['/first'] : ['/second', '/first']) {
              log.length = 0;
              await tab.run('void history.back()').catch(() => undefined);
              await expect.poll(() => log, SOON).toContain('GET /login');
              expect(log).toEqual([`GET ${earlier}`, 'GET /login']);
              await reaches(tab, /authorize/);
            }
          },
        );
      });

      test('B04 a double click at WorkOS and a reload create one session', async () => {
        const { origin, workos } = await createTestApp('express5');
        const tab = await newTab();
        await tab.open(`${origin}/account`);
        // Both clicks are sent before WorkOS has responded to the first one, as with any network between them.
        workos.fail({ on: 'choose', delay: 1000, times: 1 });
        await choose(tab, ADA, 2);
        await reaches(tab, `${origin}/account`);
        await tab.reload();
        await shows(tab, 'ada@example.com');
        expect(workos.callsTo('code')).toHaveLength(1);
      });

      test('B05 with SameSite=Strict and WorkOS at another site, the first page is signed in', async () => {
        const { home, workos } = await createAppAtLocalhost({ authkit: { cookie: { sameSite: 'strict' } } });
        const tab = await newTab();
        await signIn(tab, `${home}/page`);
        await shows(tab, 'ada@example.com');
        expect(workos.callsTo('code')).toHaveLength(1);
        const [session] = (await tab.cookies()).filter(({ name }) => name === 'wos-session');
        expect(session).toMatchObject({ sameSite: 'Strict', httpOnly: true });
      });

      test('B06 on http://localhost the browser keeps the cookies', async () => {
        const { home } = await createAppAtLocalhost();
        const tab = await newTab();
        await signIn(tab, `${home}/page`);
        expect((await tab.cookies()).map(({ name, secure }) => [name, secure]).sort()).toEqual([
          ['wos-session', false],
          ['wos-signed-in', false],
        ]);
      });

      test('B07 an app opened at localhost with a redirect URI at 127.0.0.1 redirects there before the sign-in', async () => {
        const { origin } = await createTestApp('express5');
        const tab = await newTab();
        await tab.open(`${elsewhere(origin)}/account`);
        await choose(tab);
        await reaches(tab, `${origin}/account`);
      });

      test('B08 another site that frames the application and posts into the frame cannot sign the user out', async () => {
        const answers: [method: string, status: number][] = [];
        const { home } = await createAppAtLocalhost({
          before: (app) => {
            app.use((req, res, next) => {
              if (req.url === '/logout') res.on('finish', () => answers.push([req.method!, res.statusCode]));
              next();
            });
          },
        });
        const tab = await newTab();
        await signIn(tab, `${home}/page`);
        const evil = await createTestApp('express5', {
          routes: (app) => {
            app.route('/evil', (_req, res) => {
              const frames = `<iframe name="a" src="${home}/logout"></iframe><iframe name="b"></iframe>`;
              const form = `<form method="post" action="${home}/logout" target="b"><button>x</button></form>`;
              html(res, `${frames}${form}<img src="${home}/logout">`);
            });
          },
        });
        const other = await tab.another();
        await other.open(`${evil.origin}/evil`);
        await other.click(button('x'));
        await expect.poll(() => answers, SOON).toContainEqual(['POST', 403]);
        expect(await other.frameText('a'), 'framed').not.toContain('Sign out?');
        await tab.open(`${home}/page`);
        await shows(tab, 'ada@example.com');
      });

      test('B09 if a proxy drops the session cookie, the second sign-in ends in an error page', async () => {
        const log: string[] = [];
        const { origin, workos } = await createTestApp('express5', {
          mount: (app, auth) => {
            logRequests(app, log);
            app.use((_req, res, next) => {
              drop(res);
              next();
            });
            app.use(auth);
          },
        });
        const tab = await newTab();
        await tab.open(`${origin}/account`);
        const first = await tab.url();
        await choose(tab);
        // The guard has redirected the user again.
        await expect.poll(() => tab.url(), SOON).not.toBe(first);
        await choose(tab);
        await shows(tab, 'Your sign-in was not kept');
        expect(log.filter((line) => line === 'GET /account')).toHaveLength(2);
        expect(workos.callsTo('code')).toHaveLength(1);
      });

      test('a user signs in, the session is renewed, and the user signs out', async () => {
        const { origin, workos } = await createTestApp('express5');
        const tab = await newTab();
        await signIn(tab, `${origin}/account`);
        workos.clock.advance(3_600_000);
        await tab.reload();
        await shows(tab, 'ada@example.com');
        await tab.reload();
        await shows(tab, 'ada@example.com');
        expect(workos.callsTo('refresh')).toHaveLength(1);
        await tab.open(`${origin}/logout?returnTo=/open`);
        await tab.click(button('Sign out'));
        await reaches(tab, `${origin}/open`);
        await shows(tab, '"email":null');
        expect((await tab.cookies()).map(({ name }) => name)).toEqual([]);
      });

      test.each(['with Fetch Metadata', 'without Fetch Metadata'])(
        'under Referrer-Policy: no-referrer a form signs out, %s',
        async (how) => {
          const log: string[] = [];
          const { origin } = await createTestApp('express5', {
            mount: (app, auth) => {
              logRequests(app, log, ({ headers }) => ` ${headers.origin}`);
              // WebKit applies `upgrade-insecure-requests` on this machine too, as docs/troubleshooting.md says.
              const directives = name === 'WebKit' ? { upgradeInsecureRequests: null } : {};
              app.use(helmet({ contentSecurityPolicy: { directives } }));
              app.use((req, _res, next) => {
                // Older browsers do not send these headers.
                if (how === 'without Fetch Metadata')
                  for (const name of Object.keys(req.headers))
                    if (name.startsWith('sec-fetch-')) Reflect.deleteProperty(req.headers, name);
                next();
              });
              app.use(auth);
            },
            routes: (app) => {
              app.route('/page', requireAuth(), (_req, res) => {
                html(
                  res,
                  '<form method="post" action="/logout?returnTo=/open"><button>Sign out</button></form>',
                );
              });
            },
          });
          const tab = await newTab();
          await signIn(tab, `${origin}/page`);
          await tab.click(button('Sign out'));
          await reaches(tab, `${origin}/open`);
          await shows(tab, '"email":null');
          expect(log).toContain('POST /logout null');
        },
      );

      test('a link to the logout route that was prefetched signs out when it is clicked, and not before', async () => {
        const log: string[] = [];
        const { origin } = await createTestApp('express5', {
          mount: (app, auth) => {
            logRequests(app, log, ({ headers }) => ` ${headers['sec-fetch-mode']}`);
            app.use(auth);
          },
          routes: (app) => {
            app.route('/page', requireAuth(), (_req, res) => {
              const address = '/logout?returnTo=/open';
              // With these rules, Chromium prefetches as if the user had clicked, including cookies.
              const rules = JSON.stringify({ prefetch: [{ urls: [address], eagerness: 'immediate' }] });
              html(
                res,
                `<script type="speculationrules">${rules}</script>
              <link rel="prefetch" href="${address}"><a href="${address}">Sign out</a>`,
              );
            });
          },
        });
        const tab = await newTab();
        await signIn(tab, `${origin}/page`);
        // WebKit does not prefetch links by default.
        if (name !== 'WebKit') await expect.poll(() => log, SOON).toContain('GET /logout no-cors');
        if (name === 'Chromium') await expect.poll(() => log, SOON).toContain('GET /logout navigate');
        expect(await tab.run(`fetch('/open').then((r) => r.text())`)).toContain('ada@example.com');
        await tab.click(link('Sign out'));
        await reaches(tab, `${origin}/open`);
        await shows(tab, '"email":null');
      });

      test('if the browser blocks cookies, the page after the sign-in says so', async () => {
        const { site } = await createTestApp('express5', {
          mount: () => undefined,
          routes: (app, _, { origin, workos }) => {
            const redirectUri = `${name === 'WebKit' ? origin : blocked.origin}/callback`;
            const own = authkit({ ...workos.options, redirectUri });
            app.use(own);
            app.route('/page', own.requireAuth(), whoami);
          },
        });
        blocked.forwardTo(site.server);
        const tab = await newTab({ blockCookies: true });
        const at = name === 'WebKit' ? site.origin : blocked.origin;
        await tab.open(`${at}/page`);
        await choose(tab);
        await shows(tab, 'your browser blocks cookies');
        expect(await tab.cookies()).toEqual([]);
        await tab.click(link('Sign in'));
        await reaches(tab, /authorize/);
      });

      test('a form of another site does not act for a user, whatever it asks for', async () => {
        const transfers: string[] = [];
        const { home } = await createAppAtLocalhost({
          routes: (app, auth) => {
            app.route('/leave', (req, res) => void auth.signOut(req, res));
            app.route('/transfer', auth.requireAuth({ sameOrigin: true }), (req, res) => {
              transfers.push(signedIn(req).user.email);
              res.end();
            });
          },
        });
        const evil = await createTestApp('express5', {
          routes: (app) => {
            app.route('/evil', (_req, res) => {
              const forms = ['/logout', '/leave', '/transfer'].map(
                (path) => `<form method="post" action="${home}${path}"><button>${path}</button></form>`,
              );
              html(res, forms.join(''));
            });
          },
        });
        const tab = await newTab();
        await signIn(tab, `${home}/page`);
        for (const path of ['/logout', '/leave', '/transfer']) {
          await tab.open(`${evil.origin}/evil`);
          await tab.click(button(path));
          await reaches(tab, home + path);
        }
        await tab.open(`${home}/page`);
        await shows(tab, 'ada@example.com');
        expect(transfers).toEqual([]);
      });

      test.skipIf(findProgram('openssl') === undefined)(
        'with SameSite=none a frame of another site has the session if the browser sends such cookies there, and a form of that site does not act',
        async () => {
          const answers: number[] = [];
          const transfers: string[] = [];
          const secure = await listenWithTLS();
          onTestFinished(secure.close);
          const { site } = await createAppAtLocalhost({
            authkit: { redirectUri: `${secure.origin}/callback`, cookie: { sameSite: 'none' } },
            before: (app) => {
              app.use((req, res, next) => {
                res.appendHeader('Set-Cookie', 'control=1; Path=/; SameSite=None; Secure');
                if (req.url === '/transfer') res.on('finish', () => answers.push(res.statusCode));
                next();
              });
            },
            routes: (app, auth) => {
              app.route('/framed', (req, res) => {
                const { user } = req as { user?: { email: string } };
                const isSent = /\bcontrol=1/.test(req.headers.cookie ?? '');
                html(
                  res,
                  `<p>${user?.email ?? 'signed out'}, cookies are ${isSent ? 'sent' : 'not sent'}</p>`,
                );
              });
              app.route('/transfer', auth.requireAuth({ sameOrigin: true }), (req, res) => {
                transfers.push(signedIn(req).user.email);
                res.end('transferred');
              });
            },
          });
          secure.forwardTo(site.server);
          const parent = await createTestApp('express5', {
            routes: (app) => {
              app.route('/parent', (_req, res) => {
                const form = `<form method="post" action="${secure.origin}/transfer" target="b"><button>x</button></form>`;
                html(
                  res,
                  `<iframe name="a" src="${secure.origin}/framed"></iframe><iframe name="b"></iframe>${form}`,
                );
              });
            },
          });
          const tab = await newTab();
          await signIn(tab, `${secure.origin}/page`);
          await tab.open(`${parent.origin}/parent`);
          // Firefox has a separate cookie jar for each top-level site.
          const expected =
            name === 'Firefox' ? 'signed out, cookies are not sent' : 'ada@example.com, cookies are sent';
          await expect.poll(() => tab.frameText('a'), SOON).toBe(expected);
          await tab.click(button('x'));
          await expect.poll(() => answers, SOON).toEqual([name === 'Firefox' ? 401 : 403]);
          expect(transfers).toEqual([]);
          await tab.open(`${secure.origin}/page`);
          await shows(tab, 'ada@example.com');
        },
      );

      test('a late answer to the user who was signed in before does not replace the session', async () => {
        let release: () => void = () => undefined;
        const waits = new Promise<void>((resolve) => (release = resolve));
        const log: string[] = [];
        const { origin, workos } = await createTestApp('express5', {
          mount: (app, auth) => {
            app.use(auth);
            logRequests(app, log);
          },
          routes: (app) => {
            app.route('/slow', requireAuth(), async (_req, res) => {
              log.push('slow');
              await waits;
              res.end('late');
            });
          },
        });
        const tab = await newTab();
        await signIn(tab, `${origin}/account`);
        workos.clock.advance(600_000);
        await tab.run(`void (window.late = fetch('/slow').then((r) => r.text()))`);
        await expect.poll(() => log, SOON).toContain('slow');
        const other = await tab.another();
        await other.open(`${origin}/login?returnTo=/account`);
        await choose(other, button('Grace'));
        await reaches(other, `${origin}/account`);
        await shows(other, 'grace@example.com');
        release();
        expect(await tab.run('window.late')).toBe('late');
        await tab.reload();
        await shows(tab, 'grace@example.com');
      });

      test.each(['that expired', 'that was cancelled', 'while WorkOS was unavailable'] as const)(
        'after a sign-in %s, the link of the page leads to the page that the user wanted',
        async (how) => {
          const { origin, workos } = await createTestApp('express5');
          const wanted = `${origin}/account?tab=1&q=${encodeURIComponent('a b/é?')}`;
          const tab = await newTab();
          await tab.open(wanted);
          await reaches(tab, /authorize/);
          if (how === 'that expired') workos.clock.advance(11 * 60_000);
          if (how === 'while WorkOS was unavailable') workos.fail({ on: 'code', status: 500, times: 3 });
          if (how === 'that was cancelled') {
            const back = new URL(await tab.url());
            const answer = new URL(back.searchParams.get('redirect_uri')!);
            answer.searchParams.set('error', 'access_denied');
            answer.searchParams.set('state', back.searchParams.get('state')!);
            await tab.open(answer.href);
          } else await choose(tab);
          await reaches(tab, /\/callback\?/);
          workos.recover();
          await tab.click(link('Sign in'));
          await choose(tab);
          await reaches(tab, wanted);
          await shows(tab, 'ada@example.com');
        },
      );
    },
  );
}

/**
 * Drops cookies as large as the session cookie, as a proxy may do. The prototype's `setHeader` is called, because the
 * package restores cookies that code in the same process removes.
 */
function drop(res: ServerResponse): void {
  const writeHead = res.writeHead.bind(res) as (...args: unknown[]) => ServerResponse;
  res.writeHead = (...args: unknown[]) => {
    const lines = [res.getHeader('set-cookie') ?? []].flat().map(String);
    const kept = lines.filter((line) => !line.startsWith('wos-session='));
    if (lines.length > 0) ServerResponse.prototype.setHeader.call(res, 'Set-Cookie', kept);
    return writeHead(...args);
  };
}
