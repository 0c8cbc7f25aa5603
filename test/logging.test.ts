import { expect, test } from 'vitest';
import { log } from '../src/diagnostics.js';
import { NAVIGATION, send } from './support/browser.js';
import { createTestApp } from './support/app.js';
import { logLines } from './support/events.js';

test('T28 control characters are encoded in log lines', async () => {
  const lines = logLines();
  const { origin } = await createTestApp('express5');
  const hostile = encodeURIComponent('x\r\nauthkit:session signed in {"user":"admin"}\u001b[31m\u2028');
  for (const path of [
    `/callback?error=${hostile}&error_description=${hostile}`,
    `/login?returnTo=${hostile}`,
    `/login?provider=${hostile}`,
  ])
    await send(origin + path, { headers: { ...NAVIGATION, cookie: 'wos-session=Fe26.2' } });
  // The package logs nothing from a request today. If it did, it would still be a single line.
  log('session', { reason: decodeURIComponent(hostile).replace('{"user":"admin"}', '\u0085\u009b\u2029') });
  for (const line of lines) {
    expect(line).toMatch(/^[\u0020-\u007e]*$/);
    expect(line).not.toMatch(/"user":"admin"|[\r\n]|\u001b\[31m|\u2028/);
  }
  expect(lines.length).toBeGreaterThan(0);
});
