import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import puppeteer, { type Browser, type BrowserContext, type Page } from 'puppeteer-core';
import { ADDRESS_BAR_POPUPS, SWITCHES } from './chromium-switches.js';
import { findProgram, programAt } from './programs.js';
import { findWebKit, launchWebKit } from './webkit.js';

export interface BrowserCookie {
  name: string;
  secure: boolean;
  httpOnly: boolean;
  sameSite?: string | undefined;
}

/** A tab, reduced to what all of the browsers can do. */
export interface Tab {
  /** Opens an address as if the user had typed it, and waits until the page has loaded. */
  open: (url: string) => Promise<void>;
  reload: () => Promise<void>;
  url: () => Promise<string>;
  /** Clicks the first matching element, without waiting for the navigation that follows. */
  click: (xpath: string, count?: 1 | 2) => Promise<void>;
  /** Evaluates an expression in the page. */
  run: <T>(expression: string) => Promise<T>;
  /** The text that a frame shows; empty if the browser refuses to display the frame. */
  frameText: (name: string) => Promise<string>;
  /** The cookies that the browser stores for this page's host. */
  cookies: () => Promise<BrowserCookie[]>;
  /** Opens a second tab for the same user. */
  another: () => Promise<Tab>;
}

export type BrowserName = 'Chromium' | 'Firefox' | 'WebKit';

export interface UserOptions {
  /** Cookies of {@link BLOCKED_HOST} are blocked for every user, but WebKit can only block all cookies of a user. */
  blockCookies?: boolean;
}

export interface RealBrowser {
  readonly name: BrowserName;
  /** Opens a tab for a user without cookies, until `close` is called. */
  newUser: (options?: UserOptions) => Promise<{ tab: Tab; close: () => Promise<void> }>;
  close: () => Promise<void>;
}

/** A host name of this machine whose cookies Chromium and Firefox block. */
export const BLOCKED_HOST = 'blocked.localhost';

export interface LaunchOptions {
  /** The origin on {@link BLOCKED_HOST}, whose cookies are blocked. */
  blockedOrigin: string;
}

interface Installed {
  name: BrowserName;
  /** What to install, if anything is missing. */
  missing: string | undefined;
  launch: (options: LaunchOptions) => Promise<RealBrowser>;
}

const CHROMIUM = programAt('CHROMIUM_PATH') ?? findProgram('chromium');
const FIREFOX = programAt('FIREFOX_PATH') ?? findProgram('firefox-esr', 'firefox');

const ALL: readonly Installed[] = [
  {
    name: 'Chromium',
    missing: CHROMIUM === undefined ? 'apt-get install chromium' : undefined,
    launch: (options) => launchChromium(CHROMIUM!, options),
  },
  {
    name: 'Firefox',
    missing: FIREFOX === undefined ? 'apt-get install firefox-esr' : undefined,
    launch: (options) => launchFirefox(FIREFOX!, options),
  },
  {
    name: 'WebKit',
    missing: findWebKit() === undefined ? 'apt-get install webkit2gtk-driver xvfb' : undefined,
    launch: () => launchWebKit(findWebKit()!),
  },
];

/** The browsers to test: those that AUTHKIT_BROWSERS lists, or Chromium and Firefox. */
export function browsersToTest(): readonly Installed[] {
  const wanted = (process.env['AUTHKIT_BROWSERS'] ?? 'Chromium,Firefox').split(',');
  return ALL.filter(({ name }) => wanted.includes(name));
}

async function launchChromium(
  executablePath: string,
  { blockedOrigin }: LaunchOptions,
): Promise<RealBrowser> {
  const profile = mkdtempSync(join(tmpdir(), 'authkit-chromium-'));
  const exceptions = { cookies: { [`${blockedOrigin},*`]: { setting: 2 } } };
  mkdirSync(join(profile, 'Default'));
  writeFileSync(
    join(profile, 'Default/Preferences'),
    // 0 means that third-party cookies are not blocked, as in a window that is not private.
    JSON.stringify({ profile: { cookie_controls_mode: 0, content_settings: { exceptions } } }),
  );
  const browser = await puppeteer.launch({
    executablePath,
    userDataDir: profile,
    acceptInsecureCerts: true,
    // The driver adds the features that it disables.
    args: [...SWITCHES, `--disable-features=${ADDRESS_BAR_POPUPS.join(',')}`],
    // Users have this cache.
    ignoreDefaultArgs: ['--disable-back-forward-cache'],
  });
  return withPuppeteer('Chromium', browser, profile);
}

/** Firefox's defaults when a user installs it. The driver changes them for other kinds of tests. */
const FIREFOX_DEFAULTS = {
  'browser.contentblocking.category': 'standard',
  'browser.contentblocking.features.standard': '-tp,tpPrivate,cookieBehavior5,cookieBehaviorPBM5,cryptoTP,fp',
  'fission.bfcacheInParent': true,
  'network.cookie.cookieBehavior': 5,
  'privacy.trackingprotection.enabled': false,
  'privacy.trackingprotection.pbmode.enabled': true,
};

async function launchFirefox(executablePath: string, { blockedOrigin }: LaunchOptions): Promise<RealBrowser> {
  const profile = mkdtempSync(join(tmpdir(), 'authkit-firefox-'));
  const permissions = join(profile, 'default-permissions.txt');
  writeFileSync(permissions, `origin\tcookie\t2\t${blockedOrigin}\n`);
  const browser = await puppeteer.launch({
    browser: 'firefox',
    executablePath,
    acceptInsecureCerts: true,
    extraPrefsFirefox: {
      ...FIREFOX_DEFAULTS,
      'permissions.manager.defaultsUrl': `file://${permissions}`,
    },
  });
  return withPuppeteer('Firefox', browser, profile);
}

interface PuppeteerUser {
  context: BrowserContext;
  page: Page;
}

/**
 * Once a test has ended, its user is reused without cookies, because starting a new one takes longer than most tests.
 */
function withPuppeteer(name: BrowserName, browser: Browser, profile: string): RealBrowser {
  const idle: PuppeteerUser[] = [];
  const create = async () => {
    const context = await browser.createBrowserContext();
    return { context, page: await context.newPage() };
  };
  return {
    name,
    async newUser() {
      const user = idle.pop() ?? (await create());
      return {
        tab: tabOf(user.page),
        async close() {
          if (await forget(user)) idle.push(user);
          else await user.context.close();
        },
      };
    },
    async close() {
      await browser.close();
      if (existsSync(profile)) rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** Returns whether it succeeded: Firefox's driver loses a page that was restored from the back/forward cache. */
async function forget({ context, page }: PuppeteerUser): Promise<boolean> {
  for (const other of await context.pages()) if (other !== page) await other.close();
  // The page is left first, because a response that is still on its way could set a cookie.
  const isBlank = await page.goto('about:blank', { timeout: 5000 }).then(
    () => true,
    () => false,
  );
  await context.deleteCookie(...(await context.cookies()));
  return isBlank;
}

function tabOf(page: Page): Tab {
  return {
    open: async (url) => {
      await page.goto(url);
    },
    reload: async () => {
      await page.reload();
    },
    url: async () => page.evaluate('location.href') as Promise<string>,
    async click(xpath, count = 1) {
      // A user clicks in the tab in front. Firefox renders other tabs only once a second.
      await page.bringToFront();
      const element = await page.waitForSelector(`::-p-xpath(${xpath})`, { visible: true });
      await element!.click({ count });
    },
    run: async <T>(expression: string) => (await page.evaluate(expression)) as T,
    frameText: (name) => frameText(page, name),
    async cookies() {
      const { hostname } = new URL((await page.evaluate('location.href')) as string);
      return (await page.browserContext().cookies())
        .filter(({ domain }) => domain === hostname)
        .map(cookieOf);
    },
    another: async () => tabOf(await page.browserContext().newPage()),
  };
}

async function frameText(page: Page, name: string): Promise<string> {
  const element = await page.$(`iframe[name="${name}"]`);
  const frame = await element?.contentFrame();
  return ((await frame?.evaluate('document.body?.innerText')) ?? '') as string;
}

function cookieOf({
  name,
  secure,
  httpOnly = false,
  sameSite,
}: Omit<BrowserCookie, 'httpOnly'> & { httpOnly?: boolean }) {
  return { name, secure, httpOnly, sameSite };
}
