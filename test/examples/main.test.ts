import { expect, test } from 'vitest';
import { deviceName } from '../../example/main/device.js';
import { Browser, NAVIGATION, send } from '../support/browser.js';
import { runExample } from '../support/example.js';

const example = runExample(() => import('../../example/main/app.js'));

test('pages are shown without the name of the organization if WorkOS does not say it', async () => {
  example.workos.fail({ on: 'organizations', status: 404, times: 1 });
  const { status, body } = await example.signIn('/account');
  expect(status).toBe(200);
  expect(body).toContain('Your organization');
});

test('the account and the invoices name the organization, and never show its id', async () => {
  const browser = new Browser();
  const landed = await example.signIn('/account', 'ada@example.com', browser);
  const billing = await browser.go(`${example.origin}/billing`);
  const devices = await browser.go(`${example.origin}/devices`);
  for (const { status, body } of [landed, billing, devices]) {
    expect(status).toBe(200);
    expect(body).toContain('Analytical Engines');
    expect(body).not.toMatch(/org_|user_|billing:read/);
  }
});

test('a page that does not exist has status 404 and leads back', async () => {
  const { status, body } = await send(`${example.origin}/no/such/page`, { headers: NAVIGATION });
  expect(status).toBe(404);
  expect(body).toContain('<h1>This page does not exist</h1>');
  expect(body).toContain('href="/">Go to the home page');
});

test('there is an icon, for browsers that look for favicon.ico too', async () => {
  for (const path of ['/logo.svg', '/favicon.ico']) {
    const { status, headers } = await send(example.origin + path);
    expect([status, headers['content-type']]).toEqual([200, 'image/svg+xml']);
  }
});

test('the pages of the package have the name, the logo and the color of the application', async () => {
  const { body } = await send(`${example.origin}/callback?code=x&state=y`, { headers: NAVIGATION });
  expect(body).toContain('<img src="/logo.svg" alt="">Ledger</p>');
  expect(body).toContain('--accent:#5145cd');
});

test.each([
  [
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36',
    'Chrome on Windows',
  ],
  [
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36 Edg/143.0.0.0',
    'Edge on Windows',
  ],
  [
    'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1',
    'Safari on iPhone',
  ],
  [
    'Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Mobile Safari/537.36',
    'Chrome on Android',
  ],
  ['Mozilla/5.0 (Macintosh; Intel Mac OS X 15.0; rv:145.0) Gecko/20100101 Firefox/145.0', 'Firefox on Mac'],
  ['curl/8.5.0', 'Unknown device'],
  ['', 'Unknown device'],
  [null, 'Unknown device'],
])('%s is %s', (userAgent, name) => {
  expect(deviceName(userAgent)).toBe(name);
});
