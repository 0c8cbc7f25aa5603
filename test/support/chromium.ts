import { existsSync } from 'node:fs';
import { chromium, type Browser } from 'playwright-core';

const CHROMIUM = process.env['CHROMIUM_PATH'] ?? '/usr/bin/chromium';

/** False where there is no browser, which is said once. */
export const hasChromium = existsSync(CHROMIUM);
if (!hasChromium)
  console.log(`skipped: no Chromium at ${CHROMIUM}; install it with: apt-get install chromium`);

/** @param withBackForwardCache As people have it. The driver switches it off, since it does not notice pages that come from there. */
export function launch({ withBackForwardCache = false } = {}): Promise<Browser> {
  const quiet = ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'];
  const args = ['--no-sandbox', ...quiet, '--disable-component-update', '--disable-sync'];
  const ignoreDefaultArgs = withBackForwardCache ? ['--disable-back-forward-cache'] : [];
  return chromium.launch({ executablePath: CHROMIUM, args, ignoreDefaultArgs });
}
