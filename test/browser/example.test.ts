import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import helmet from 'helmet';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { requireAuth, signedIn } from 'authkit-express';
import { hasChromium, launch, reusedPages, type User } from '../support/chromium.js';
import { createTestApp } from '../support/app.js';
import { freePort } from '../support/free-port.js';

describe.skipIf(!hasChromium)('in Chromium', () => {
  let browser: Browser;
  let newUser: () => Promise<User>;
  beforeAll(async () => {
    browser = await launch();
    newUser = reusedPages(browser);
  });
  afterAll(() => browser.close());

  async function open(): Promise<Page> {
    const { page, close } = await newUser();
    onTestFinished(close);
    return page;
  }

  describe('the example', () => {
    let example: ChildProcess;
    let address = '';
    beforeAll(async () => {
      const root = fileURLToPath(new URL('../..', import.meta.url));
      example = spawn(process.execPath, ['--import', 'tsx', 'example/run.ts'], {
        cwd: root,
        env: { ...process.env, WORKOS_API_KEY: '', PORT: String(await freePort()) },
      });
      address = await new Promise((resolve, reject) => {
        let printed = '';
        const read = (chunk: Buffer) => {
          printed += chunk.toString();
          const [found] = /http:\/\/localhost:\d+/.exec(printed) ?? [];
          if (found !== undefined) resolve(found);
        };
        example.stdout?.on('data', read);
        example.stderr?.on('data', read);
        example.on('exit', (code) => {
          reject(new Error(`the example ended with ${code ?? 'a signal'}: ${printed}`));
        });
      });
    });
    afterAll(() => example.kill());

    test('signs a user in by keyboard, guards pages, and signs out', async () => {
      const page = await open();
      await page.goto(`${address}/account`);
      expect(new URL(page.url()).origin).not.toBe(address);
      const focused = () => page.evaluate<string>("document.activeElement?.textContent ?? ''");
      for (let tabs = 0; tabs < 10 && !/^Ada Lovelace: Analytical/.test(await focused()); tabs += 1) {
        await page.keyboard.press('Tab');
      }
      await page.keyboard.press('Enter');
      await page.waitForURL(`${address}/account`);
      expect(await page.textContent('main')).toContain('ada@example.com');
      await page.getByRole('link', { name: 'Billing' }).click();
      expect(await page.textContent('h1')).toBe('Billing');
      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.waitForURL(`${address}/`);
      expect(await page.textContent('main')).toContain('You are signed out');
      await page.goBack();
      await page.goto(`${address}/account`);
      expect(new URL(page.url()).origin).not.toBe(address);
    });

    test("lists the user's sessions and ends one of them", async () => {
      const sign = async () => {
        const page = await open();
        await page.goto(`${address}/devices`);
        await choose(page);
        await page.waitForURL(`${address}/devices`);
        return page;
      };
      const [phone, laptop] = [await sign(), await sign()];
      expect(await laptop.textContent('main')).toContain('This device');
      // The list starts with the newest session: the laptop's own, followed by the phone's.
      await laptop.getByRole('button', { name: 'End this session' }).first().click();
      await laptop.waitForURL(`${address}/devices`);
      await phone.goto(`${address}/account`);
      expect(new URL(phone.url()).origin).not.toBe(address);
      await laptop.goto(`${address}/account`);
      expect(await laptop.textContent('h1')).toBe('Your account');
    });

    test('a provider, an organization and a sign-up are one click away', async () => {
      const page = await open();
      const arriveAt = async (link: string) => {
        await page.goto(`${address}/`);
        await page.getByRole('link', { name: link }).click();
        return new URL(page.url()).searchParams;
      };
      const google = await arriveAt('Continue with Google');
      expect(google.get('provider')).toBe('GoogleOAuth');
      const organization = await arriveAt('Sign in to your organization');
      expect(organization.get('organization_id')).toMatch(/^org_/);
      expect(await page.textContent('main')).toContain('as a member of Analytical Engines');
      expect((await arriveAt('Create an account')).get('screen_hint')).toBe('sign-up');
      await page.getByLabel('Email address').fill('katherine@example.com');
      await page.getByLabel('First name').fill('Katherine');
      await page.getByRole('button', { name: 'Create and sign in' }).click();
      await page.waitForURL(`${address}/`);
      expect(await page.textContent('h1')).toBe('Hello, Katherine');
    });

    test('denies the billing page to a user without the permission, without another sign-in', async () => {
      const page = await open();
      await page.goto(`${address}/billing`);
      await page
        .getByRole('button', { name: /Alan|without|no organization/i })
        .last()
        .click();
      await page.waitForURL(`${address}/billing`);
      expect(await page.textContent('h1')).toBe('You do not have access');
    });
  });

  /** Signs in on the page of the test WorkOS. */
  async function choose(page: Page): Promise<void> {
    await page
      .getByRole('button', { name: /Ada|Analytical/ })
      .first()
      .click();
  }

  test('a session outlives its access token', async () => {
    const { origin, workos } = await createTestApp('express5');
    const page = await open();
    await page.goto(`${origin}/account`);
    await choose(page);
    await page.waitForURL(`${origin}/account`);
    workos.clock.advance(3_600_000);
    await page.goto(`${origin}/account`);
    expect(page.url()).toBe(`${origin}/account`);
    expect(workos.callsTo('refresh')).toHaveLength(1);
    expect(await page.evaluate(async () => (await fetch('/account')).status)).toBe(200);
  });

  test('two tabs can sign in at once, in any order, and back and reload do no harm', async () => {
    const { origin, workos } = await createTestApp('express5');
    const first = await open();
    const second = await first.context().newPage();
    await first.goto(`${origin}/account?tab=1`);
    await second.goto(`${origin}/account?tab=2`);
    await choose(second);
    await second.waitForURL(`${origin}/account?tab=2`);
    await choose(first);
    await first.waitForURL(`${origin}/account?tab=1`);
    expect(workos.callsTo('code')).toHaveLength(2);
    await first.goBack();
    await first.reload();
    await first.goto(`${origin}/account`);
    expect(first.url()).toBe(`${origin}/account`);
    expect(workos.callsTo('code')).toHaveLength(2);
  });

  test('a form signs out under the Content-Security-Policy of helmet, and the back button does not show the page again', async () => {
    const { origin } = await createTestApp('express5', {
      mount: (app, auth) => {
        app.use(helmet());
        app.use(auth);
      },
      routes: (app) => {
        app.route('/page', requireAuth(), (req, res) => {
          res.setHeader('Content-Type', 'text/html');
          res.setHeader('Cache-Control', 'no-store');
          const form = '<form method="post" action="/logout?returnTo=/open"><button>Sign out</button></form>';
          res.end(`<!doctype html><title>Page</title><h1>${signedIn(req).user.email}</h1>${form}`);
        });
      },
    });
    const page = await open();
    await page.goto(`${origin}/page`);
    await choose(page);
    await page.waitForURL(`${origin}/page`);
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.waitForURL(`${origin}/open`);
    expect(await page.textContent('body')).toContain('"email":null');
    await page.goBack();
    expect(new URL(page.url()).pathname, 'sign-in is asked for again').toBe('/user_management/authorize');
  });

  test('a failed sign-in shows the reason and a link to try again', async () => {
    const { origin } = await createTestApp('express5');
    const page = await open();
    await page.goto(`${origin}/callback?code=x&state=y`);
    expect(await page.textContent('h1')).toBe('This sign-in could not be finished');
    await page.getByRole('link', { name: 'Sign in' }).click();
    await choose(page);
    await page.waitForURL(`${origin}/`);
  });
});
