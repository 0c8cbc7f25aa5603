import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Server } from 'node:http';
import type { AxeResults } from 'axe-core';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { AuthKitError } from 'authkit-express';
import { absoluteLink, REPOSITORY, SITE } from '../../scripts/links.mjs';
import { ERROR_CODES } from '../../src/errors.js';
import { launch } from '../support/chromium.js';
import { pages, ROOT } from '../support/documentation.js';
import { BASE, fileFor, routes, serveSite } from './server.js';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

const html = (route: string) => readFileSync(fileFor(route)!, 'utf8');
const anchors = new Map<string, Set<string>>();

/** The element ids on a page. */
function anchorsOf(route: string): Set<string> {
  const file = fileFor(route)!;
  let found = anchors.get(file);
  if (!found) {
    found = new Set([...html(route).matchAll(/\sid="([^"]+)"/g)].map(([, id = '']) => decode(id)));
    anchors.set(file, found);
  }
  return found;
}

function decode(text: string): string {
  return text.replaceAll('&amp;', '&').replaceAll('&quot;', '"').replaceAll('&#39;', "'");
}

/** Why a link is broken, or undefined if it is not. Other sites are not visited. */
function problemOf(href: string, from: string): string | undefined {
  const url = new URL(href, `https://site.invalid${from}`);
  const onSite = href.startsWith(SITE) ? new URL(href).pathname : undefined;
  if (url.origin === 'https://site.invalid' || onSite !== undefined) {
    const path = onSite ?? url.pathname;
    if (fileFor(path) === undefined) return 'no such page';
    const anchor = decodeURIComponent(url.hash.slice(1));
    return anchor === '' || anchorsOf(path).has(anchor) ? undefined : 'no such anchor';
  }
  const [, path] = new RegExp(`^${REPOSITORY}/(?:blob|edit)/main/([^#]*)`).exec(href) ?? [];
  return path === undefined || existsSync(join(ROOT, path)) ? undefined : 'no such file in the repository';
}

test('every page of the documentation is on the site, and in the sidebar', () => {
  const sidebar = html(`${BASE}overview`);
  const missing = pages()
    .map(({ path }) => new URL(absoluteLink(path, 'README.md')).pathname)
    .filter(
      (route) => fileFor(route) === undefined || (route !== BASE && !sidebar.includes(`href="${route}"`)),
    );
  expect(missing).toEqual([]);
  expect(routes().length).toBeGreaterThan(100);
});

test('no link is dead, neither to a page nor to an anchor nor to a file of the repository', () => {
  const dead = routes().flatMap((route) =>
    [...html(route).matchAll(/<a\s[^>]*?href="([^"]*)"/g)]
      .map(([, href = '']) => decode(href))
      .map((href) => ({ route, href, problem: problemOf(href, route) }))
      .filter(({ problem }) => problem !== undefined),
  );
  expect(dead).toEqual([]);
});

test.each(ERROR_CODES)('error.docs of %s opens its section', (code) => {
  expect(problemOf(new AuthKitError(code, '').docs, BASE)).toBeUndefined();
});

describe('in Chromium', () => {
  let browser: Browser;
  let server: Server;
  let origin: string;
  beforeAll(async () => {
    ({ server, origin } = await serveSite());
    browser = await launch();
  });
  afterAll(async () => {
    await browser.close();
    server.close();
  });

  async function open(options: Parameters<Browser['newContext']>[0] = {}): Promise<Page> {
    const context = await browser.newContext(options);
    onTestFinished(() => context.close());
    return context.newPage();
  }

  /** Records problems on the pages that are opened from now on. */
  function watch(page: Page): string[] {
    const problems: string[] = [];
    page.on('pageerror', ({ message }) => problems.push(message));
    page.on('console', (message) => {
      if (message.type() === 'error') problems.push(message.text());
    });
    page.on('response', (response) => {
      if (response.status() >= 400) problems.push(`${response.status()} for ${response.url()}`);
    });
    page.on('request', (request) => {
      const { protocol, host } = new URL(request.url());
      if (protocol !== 'data:' && !origin.endsWith(host)) problems.push(`a request to ${request.url()}`);
    });
    return problems;
  }

  async function axe(page: Page, rules: readonly string[] = []): Promise<string[]> {
    await page.evaluate(AXE);
    const options = rules.length === 0 ? {} : { runOnly: rules };
    const { violations } = await page.evaluate<AxeResults>(`axe.run(${JSON.stringify(options)})`);
    return violations.map(
      ({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 160)).join(' ')}`,
    );
  }

  const isGenerated = (route: string) => route.startsWith(`${BASE}api/authkit-express/`);

  /** Pages of the API reference differ only in names, so axe checks the longest one of each kind. */
  const longestOfEachKind = new Map<string, string>();
  for (const route of routes().filter(isGenerated)) {
    const kind = route.split('/').at(-2) ?? '';
    if (html(route).length > html(longestOfEachKind.get(kind) ?? route).length - 1)
      longestOfEachKind.set(kind, route);
  }
  const forAxe = new Set([...routes().filter((route) => !isGenerated(route)), ...longestOfEachKind.values()]);

  /** A few pages at a time, so that a slow machine does not exceed the time limit of a test. */
  const inParts = <Name extends string>(name: Name, paths: readonly string[], rules: readonly string[]) =>
    Array.from({ length: Math.ceil(paths.length / 20) }, (_, part) => {
      const few = paths.slice(part * 20, (part + 1) * 20);
      return { colorScheme: name, from: part * 20 + 1, to: part * 20 + few.length, paths: few, rules };
    });

  test.each([
    ...inParts('light', routes(), []),
    // Dark mode changes only the colors.
    ...inParts('dark', [...forAxe], ['color-contrast']),
  ])(
    'pages $from to $to open without an error, and axe finds nothing: $colorScheme',
    async ({ colorScheme, paths, rules }) => {
      const page = await open({ colorScheme });
      const problems = watch(page);
      const found: { route: string; problems: string[] }[] = [];
      for (const route of paths) {
        await page.goto(origin + route);
        if ((await page.locator('h1').count()) === 0) problems.push('no heading');
        if (forAxe.has(route)) problems.push(...(await axe(page, rules)));
        if (problems.length > 0) found.push({ route, problems: problems.splice(0) });
      }
      expect(found).toEqual([]);
    },
  );

  test('no page is wider than a phone', async () => {
    const page = await open({ viewport: { width: 360, height: 740 } });
    const found: Record<string, number> = {};
    for (const route of routes().filter((path) => !isGenerated(path))) {
      await page.goto(origin + route);
      const overflow = await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth');
      if (overflow > 0) found[route] = overflow;
    }
    expect(found).toEqual({});
  });

  test('on a phone, the start page begins just below the navigation', async () => {
    const page = await open({ viewport: { width: 360, height: 740 } });
    await page.goto(origin + BASE);
    const navigation = await page.locator('.VPNav').boundingBox();
    const heading = await page.getByRole('heading', { level: 1 }).first().boundingBox();
    expect(heading!.y - navigation!.y - navigation!.height).toBeLessThan(60);
    expect(navigation!.height).toBeLessThan(80);
  });

  test('a search for session_lost leads to its section', async () => {
    const page = await open();
    await page.goto(origin + BASE);
    await page
      .getByRole('button', { name: /search/i })
      .first()
      .click();
    await page.getByRole('searchbox').fill('session_lost');
    await page.locator('.VPLocalSearchBox a.result').first().click();
    await page.waitForURL(/troubleshooting#session_lost$/);
    expect(await page.getByRole('heading', { name: 'session_lost' }).isVisible()).toBe(true);
    expect(await axe(page)).toEqual([]);
  });

  test.each([
    ['socket.io', 'recipes/websocket#socketio'],
    ['single-page app on another origin', 'recipes/single-page-app#the-page-is-on-another-origin'],
    ['test expired session', 'testing#an-expired-session'],
    ['nginx', 'production#behind-nginx-or-another-proxy'],
    ['own user row', 'users#'],
    ['sign out everywhere', 'production#signing-out-everywhere'],
    ['invalid_state', 'troubleshooting#invalid_state'],
    ['which cookies are set', 'recipes/cookies#'],
    ['rotate password', 'production#rotating-the-cookie-password-and-keys'],
    ['move from authkit-nextjs', 'migration#from-authkit-nextjs'],
    ['redirect loop', 'troubleshooting#'],
  ])('a search for "%s" shows its answer first', async (words, answer) => {
    const page = await open();
    await page.goto(origin + BASE);
    await page
      .getByRole('button', { name: /search/i })
      .first()
      .click();
    await page.getByRole('searchbox').fill(words);
    const first = page.locator('.VPLocalSearchBox a.result').first();
    await expect.poll(() => first.getAttribute('href'), { timeout: 20_000 }).toContain(BASE + answer);
  });

  // The questions at the top of the home page.
  test.each([
    ['socket.io', 'socket.io'],
    ['another origin', 'returnToOrigins'],
    ['expired session', 'clock.advance'],
    ['nginx', 'large_client_header_buffers'],
    ['my own database', 'loadUser'],
    ['everywhere', 'revokeUserSessions'],
    ['invalid_state', 'no_cookie'],
    ['Which cookies', 'wos-session'],
    ['rotate the cookie password', 'OLD_PASSWORD'],
    ['move from authkit-nextjs', 'NEXT_PUBLIC_WORKOS_REDIRECT_URI'],
  ])('the question about "%s" on the start page leads to its answer', async (question, answer) => {
    const page = await open();
    await page.goto(origin + BASE);
    await page.getByRole('link', { name: question }).first().click();
    await page.waitForURL((url) => url.pathname !== BASE);
    await expect.poll(() => page.locator('main').innerText()).toContain(answer);
  });

  test('diagrams are drawn', async () => {
    const page = await open();
    await page.goto(`${origin}${BASE}overview`);
    await expect.poll(() => page.locator('.diagram svg').count(), { timeout: 20_000 }).toBe(2);
  });
});
