import { existsSync } from 'node:fs';
import { chromium, type Browser } from 'playwright-core';

const CHROMIUM = process.env['CHROMIUM_PATH'] ?? '/usr/bin/chromium';

/** Whether Chromium is installed. Tests that need it are skipped without it, except in CI. */
export const hasChromium = existsSync(CHROMIUM);
if (!hasChromium)
  console.log(`skipped: no Chromium at ${CHROMIUM}; install it with: apt-get install chromium`);

/**
 * @param withBackForwardCache Enables the back/forward cache, which users have. By default the driver disables it,
 * since it cannot see pages restored from it.
 */
export function launch({ withBackForwardCache = false } = {}): Promise<Browser> {
  const quiet = ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'];
  const args = ['--no-sandbox', ...quiet, '--disable-component-update', '--disable-sync'];
  const ignoreDefaultArgs = withBackForwardCache ? ['--disable-back-forward-cache'] : [];
  return chromium.launch({ executablePath: CHROMIUM, args, ignoreDefaultArgs });
}
