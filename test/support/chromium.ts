import { existsSync } from 'node:fs';
import { chromium, type Browser, type Page } from 'playwright-core';
import { ADDRESS_BAR_POPUPS, SWITCHES } from './chromium-switches.js';

const CHROMIUM = process.env['CHROMIUM_PATH'] ?? '/usr/bin/chromium';

/** Whether Chromium is installed. Tests that need it are skipped without it, except in CI. */
export const hasChromium = existsSync(CHROMIUM);
if (!hasChromium)
  console.log(`skipped: no Chromium at ${CHROMIUM}; install it with: apt-get install chromium`);

/** Chromium only reads the last such switch, so the driver's own features are repeated. */
const DISABLED_FEATURES = [
  ...ADDRESS_BAR_POPUPS,
  'AvoidUnnecessaryBeforeUnloadCheckSync',
  'DestroyProfileOnBrowserClose',
  'HttpsUpgrades',
  'HttpsFirstBalancedModeAutoEnable',
  'LensOverlay',
  'MediaRouter',
  'PaintHolding',
  'ThirdPartyStoragePartitioning',
  'AvoidCorsURLLoaderRestartOnRedirect',
  'OptimizationHints',
  'NetworkTimeServiceQuerying',
  'AimEnabled',
  'PreconnectToSearch',
];

/**
 * @param withBackForwardCache Enables the back/forward cache, which users have. By default the driver disables it,
 * since it cannot see pages restored from it.
 */
export function launch({ withBackForwardCache = false } = {}): Promise<Browser> {
  const args = [...SWITCHES, `--disable-features=${DISABLED_FEATURES.join(',')}`];
  const ignoreDefaultArgs = withBackForwardCache ? ['--disable-back-forward-cache'] : [];
  return chromium.launch({ executablePath: CHROMIUM, args, ignoreDefaultArgs });
}

export interface User {
  page: Page;
  close: () => Promise<void>;
}

/** Playwright's default size of a page, in pixels. */
const VIEWPORT = { width: 1280, height: 720 };

/**
 * Returns a function that opens a page for a user without cookies. Once a user is closed, the next one gets the same
 * page without cookies, because starting a new browser context takes longer than most tests. Scripts that a test adds
 * with `addInitScript` would stay.
 */
export function reusedPages(browser: Browser): () => Promise<User> {
  const idle: Page[] = [];
  return async () => {
    const page = idle.pop() ?? (await (await browser.newContext()).newPage());
    const close = async () => {
      page.removeAllListeners();
      for (const other of page.context().pages()) if (other !== page) await other.close();
      // The page is left first, because a response that is still on its way could set a cookie.
      await page.goto('about:blank');
      await page.context().clearCookies();
      await page.setViewportSize(VIEWPORT);
      await page.emulateMedia({ colorScheme: null });
      idle.push(page);
    };
    return { page, close };
  };
}
