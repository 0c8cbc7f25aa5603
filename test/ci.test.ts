import { expect, test } from 'vitest';
import { hasChromium } from './support/chromium.js';
import { findPostgres, findProgram, programAt } from './support/programs.js';
import { hasRedis } from './support/redis.js';

/** Programs that some tests need. Without them, the tests are skipped on a developer's machine, but not in CI. */
const PROGRAMS: Readonly<Record<string, boolean>> = {
  Chromium: hasChromium,
  Firefox: (programAt('FIREFOX_PATH') ?? findProgram('firefox', 'firefox-esr')) !== undefined,
  Redis: hasRedis,
  PostgreSQL: findPostgres() !== undefined,
  nginx: findProgram('nginx') !== undefined,
  OpenSSL: findProgram('openssl') !== undefined,
};

test.runIf(process.env['CI'] !== undefined).each(Object.entries(PROGRAMS))(
  'CI has %s',
  (name, isInstalled) => {
    expect(isInstalled, `${name} is not installed, so its tests would be skipped`).toBe(true);
  },
);
