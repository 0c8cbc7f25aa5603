import { existsSync } from 'node:fs';
import { chromium, type Browser } from 'playwright-core';

const CHROMIUM = process.env['CHROMIUM_PATH'] ?? '/usr/bin/chromium';

/** False where there is no browser, which is said once. */
export const hasChromium = existsSync(CHROMIUM);
if (!hasChromium)
  console.log(`skipped: no Chromium at ${CHROMIUM}; install it with: apt-get install chromium`);

export function launch(): Promise<Browser> {
  const quiet = ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'];
  const args = ['--no-sandbox', ...quiet, '--disable-component-update', '--disable-sync'];
  return chromium.launch({ executablePath: CHROMIUM, args });
}
