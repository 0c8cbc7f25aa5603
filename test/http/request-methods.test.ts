import { expect, test } from 'vitest';
import { FETCH, NAVIGATION, send } from '../support/browser.js';
import { createTestApp } from '../support/app.js';

test('M01 HEAD requests have no side effects', async () => {
  const { origin, workos, cookie } = await createTestApp('express5');
  const session = await cookie();
  for (const path of ['/login', '/callback?code=x&state=y', '/logout', '/account']) {
    const reply = await send(origin + path, { method: 'HEAD', headers: { ...NAVIGATION, cookie: session } });
    expect([200, 302, 405]).toContain(reply.status);
    expect({ body: reply.body, cookies: reply.setCookies }).toEqual({ body: '', cookies: [] });
  }
  expect(workos.callsTo('authenticate')).toEqual([]);
  expect((await send(`${origin}/account`, { headers: { ...FETCH, cookie: session } })).status).toBe(200);
});

test('M02 a CORS preflight is never redirected', async () => {
  const { origin } = await createTestApp('express5');
  const headers = { origin: 'https://other.example', 'access-control-request-method': 'GET' };
  expect((await send(`${origin}/account`, { method: 'OPTIONS', headers })).status).toBe(401);
});

test('M03 an anonymous POST, PUT, DELETE or PATCH gets 401 and is not remembered as returnTo', async () => {
  const { origin } = await createTestApp('express5');
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) {
    const reply = await send(`${origin}/account`, { method, headers: NAVIGATION });
    expect({ status: reply.status, location: reply.location }).toEqual({ status: 401, location: undefined });
    expect(reply.body).not.toContain('returnTo');
  }
});

test('M04 an anonymous script gets 401 as JSON with WWW-Authenticate, and no sign-in is started', async () => {
  const { origin } = await createTestApp('express5');
  for (const headers of [
    FETCH,
    { accept: 'application/json' },
    { accept: '*/*' },
    { 'x-requested-with': 'XMLHttpRequest', accept: 'text/html' },
    {},
  ]) {
    const reply = await send(`${origin}/account`, { headers: headers });
    expect(reply.status).toBe(401);
    expect(reply.headers['www-authenticate']).toMatch(/^Bearer/);
    expect(JSON.parse(reply.body)).toMatchObject({ error: 'unauthenticated' });
    expect(reply.setCookies).toEqual([]);
  }
});

test('M05 a prefetch starts no sign-in and signs no user out', async () => {
  const { origin, cookie } = await createTestApp('express5');
  const session = await cookie();
  for (const path of ['/login', '/logout']) {
    const headers = {
      ...NAVIGATION,
      'sec-fetch-site': 'same-origin',
      'sec-purpose': 'prefetch;prerender',
      cookie: session,
    };
    const reply = await send(origin + path, { headers });
    expect(reply.headers['cache-control']).toContain('no-store');
    expect(reply.setCookies).toEqual([]);
  }
});
