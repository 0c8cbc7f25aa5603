import { expect, test } from 'vitest';
import { NAVIGATION, send } from '../support/browser.js';
import { createTestApp } from '../support/app.js';

const SCRIPT = '<script>alert(1)</script><img src=x onerror=alert(1)>';

test('T27 no text from a query appears in a page', async () => {
  const { origin } = await createTestApp('express5');
  for (const path of [
    `/callback?error=access_denied&error_description=`,
    '/callback?state=',
    '/login?provider=',
    '/login?loginHint=%00',
  ]) {
    const reply = await send(`${origin}${path}${encodeURIComponent(SCRIPT)}`, { headers: NAVIGATION });
    expect(reply.status, path).toBeGreaterThanOrEqual(400);
    expect(reply.body).not.toMatch(/alert\(1\)|<script|<img/);
    expect(reply.headers['content-security-policy']).toContain("default-src 'none'");
    expect(reply.headers['x-content-type-options']).toBe('nosniff');
  }
});

test('T38 pages of this package cannot be framed', async () => {
  const { origin, cookie } = await createTestApp('express5', { rule: { role: 'nobody-has-this' } });
  const session = await cookie();
  for (const [path, headers] of [
    ['/callback', {}],
    ['/logout', {}],
    ['/account', { cookie: session }],
    ['/login?maxAge=x', {}],
  ] as const) {
    const reply = await send(origin + path, { headers: { ...NAVIGATION, ...headers } });
    expect(reply.headers['content-type'], path).toContain('text/html');
    expect(reply.headers['content-security-policy']).toContain("frame-ancestors 'none'");
    expect(reply.headers['x-frame-options']).toBe('DENY');
  }
});

test('T35 the callback redirects or sends Referrer-Policy: same-origin', async () => {
  const { origin } = await createTestApp('express5');
  for (const query of ['code=x&state=y', 'error=access_denied', 'code=x', '']) {
    const reply = await send(`${origin}/callback?${query}`, { headers: NAVIGATION });
    if (reply.status !== 302) expect(reply.headers['referrer-policy']).toBe('same-origin');
    expect(reply.headers['cache-control']).toBe('private, no-store');
  }
});

test('T36 redirects use status 302 or 303', async () => {
  const { origin, workos, cookie } = await createTestApp('express5');
  const session = await cookie();
  for (const [method, path] of [
    ['GET', '/login'],
    ['GET', '/account'],
    ['GET', '/callback?code=x'],
    ['POST', '/logout'],
  ] as const) {
    const headers = path === '/logout' ? { cookie: session } : NAVIGATION;
    expect([302, 303], path).toContain((await send(origin + path, { method, headers })).status);
  }
  expect(workos.callsTo('code')).toEqual([]);
});
