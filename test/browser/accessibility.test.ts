import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { AxeResults } from 'axe-core';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { hasChromium, launch, reusedPages, type User } from '../support/chromium.js';
import { ROOT } from '../support/documentation.js';
import { runExample } from '../support/example.js';

// `AUTHKIT_SCREENSHOTS=1 npx vitest run test/browser/accessibility.test.ts` updates the screenshots in docs/images.
const IMAGES = process.env['AUTHKIT_SCREENSHOTS'] === '1' ? join(ROOT, 'docs/images') : undefined;
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

const PICTURES = ['example-home', 'example-devices', 'sign-in', 'sign-in-failed'];

// Colours depend only on the color scheme and the layout only on the width, so two combinations cover everything.
const LOOKS = [
  { colorScheme: 'light', width: 900 },
  { colorScheme: 'dark', width: 320 },
] as const;

const PICTURE_LOOKS = [
  { suffix: 'light', colorScheme: 'light', width: 1000, height: 640 },
  { suffix: 'dark', colorScheme: 'dark', width: 1000, height: 640 },
  { suffix: 'phone', colorScheme: 'light', width: 390, height: 700 },
] as const;

async function takePictures(page: Page, name: string, folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  for (const { suffix, colorScheme, width, height } of PICTURE_LOOKS) {
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme });
    await page.screenshot({ path: join(folder, `${name}-${suffix}.png`) });
  }
}

describe.skipIf(!hasChromium)('pages shown to users', () => {
  const example = runExample(() => import('../../example/main/app.js'));
  let browser: Browser;
  let newUser: () => Promise<User>;
  beforeAll(async () => {
    browser = await launch();
    newUser = reusedPages(browser);
  });
  afterAll(() => browser.close());

  /** Signs the same user in from a second browser. */
  async function signInFrom(userAgent: string): Promise<void> {
    const other = await browser.newContext({ userAgent });
    onTestFinished(() => other.close());
    const page = await other.newPage();
    await page.goto(`${example.origin}/account`);
    await choose(page, /Ada Lovelace: Analytical/);
    await page.waitForURL(`${example.origin}/account`);
  }

  async function choose(page: Page, name: RegExp): Promise<void> {
    await page.getByRole('button', { name }).first().click();
  }

  /** Opens each page in a browser in which the user is signed out. */
  const PAGES: Record<string, (page: Page) => Promise<unknown>> = {
    // This page comes first, while the user has no other sessions.
    'example-devices': async (page) => {
      const phone =
        'Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Mobile/15E148 Safari/604.1';
      await signInFrom(phone);
      await page.goto(`${example.origin}/devices`);
      await choose(page, /Ada Lovelace: Analytical/);
      await page.waitForURL(`${example.origin}/devices`);
      expect(await page.textContent('main')).toContain('Safari on iPhone');
      expect(await page.textContent('main')).toContain('Analytical Engines');
    },
    'example-home': (page) => page.goto(`${example.origin}/`),
    'sign-in': (page) => page.goto(`${example.origin}/login`),
    'sign-up': (page) => page.goto(`${example.origin}/login?screenHint=sign-up`),
    'example-account': async (page) => {
      await page.goto(`${example.origin}/account`);
      await choose(page, /Ada Lovelace: Analytical/);
      await page.waitForURL(`${example.origin}/account`);
    },
    'example-billing': async (page) => {
      await page.goto(`${example.origin}/billing`);
      await choose(page, /Ada Lovelace: Analytical/);
      await page.waitForURL(`${example.origin}/billing`);
    },
    'example-signed-in': async (page) => {
      await page.goto(`${example.origin}/login`);
      await choose(page, /Grace/);
      await page.waitForURL(`${example.origin}/`);
    },
    'no-access': async (page) => {
      await page.goto(`${example.origin}/billing`);
      await choose(page, /Alan/);
      await page.waitForURL(`${example.origin}/billing`);
    },
    'not-found': (page) => page.goto(`${example.origin}/no/such/page`),
    'sign-in-failed': (page) => page.goto(`${example.origin}/callback?code=x&state=y`),
    'sign-out': (page) => page.goto(`${example.origin}/logout`),
    'workos-refuses': (page) =>
      page.goto(`${example.workos.url}/user_management/authorize?response_type=code&client_id=client_wrong`),
  };

  test.each(Object.keys(PAGES))(
    '%s has no accessibility problem that axe finds, and fits wide and narrow screens, light and dark',
    async (name) => {
      const { page, close } = await newUser();
      onTestFinished(close);
      const foreign: string[] = [];
      page.on('request', (request) => {
        const { origin } = new URL(request.url());
        if (![example.origin, example.workos.url].includes(origin)) foreign.push(request.url());
      });
      await PAGES[name]!(page);
      // Injected through the debugger, which a Content-Security-Policy does not block.
      await page.evaluate(AXE);
      for (const { colorScheme, width } of LOOKS) {
        await page.setViewportSize({ width, height: 640 });
        await page.emulateMedia({ colorScheme });
        const { violations } = await page.evaluate<AxeResults>("axe.run({ resultTypes: ['violations'] })");
        const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
        expect(found, `${name}, ${colorScheme}, ${width}`).toEqual([]);
        const overflow = await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth');
        expect(overflow, `${name} is wider than ${width}`).toBeLessThanOrEqual(0);
      }
      if (IMAGES !== undefined && PICTURES.includes(name)) await takePictures(page, name, IMAGES);
      expect(foreign, 'nothing comes from elsewhere').toEqual([]);
    },
  );
});
