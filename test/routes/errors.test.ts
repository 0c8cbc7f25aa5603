import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { AuthKitError, requireAuth } from 'authkit-express';
import { FRAMEWORKS } from '../support/frameworks.js';
import { FETCH, NAVIGATION, send } from '../support/browser.js';
import { ADA, json, createTestApp } from '../support/app.js';

const hrefOf = (body: string) => /<a href="([^"]*)">/.exec(body)?.[1]?.replaceAll('&#38;', '&');

describe.each(FRAMEWORKS)('error responses on %s', (framework) => {
  test('onError is told the route, and undefined for a guard', async () => {
    const told: unknown[] = [];
    const { origin, auth } = await createTestApp(framework, {
      authkit: {
        routes: { token: '/token', signUp: '/signup', switchOrganization: '/switch', connect: '/connect' },
        onError: ({ error, route }) => void told.push([route, error.code]),
      },
      routes: (app, own) => {
        app.route('/hook', own.webhooks({ secret: 'a-secret-of-the-endpoint' }));
        app.route('/bye', (req, res) => void own.signOut(req, res));
      },
    });
    expect(auth).toBeTypeOf('function');
    const foreign = { origin: 'https://evil.example' };
    const requests: [method: string, path: string, headers: Record<string, string>][] = [
      ['GET', '/login?provider=nobody', {}],
      ['GET', '/login/google', FETCH],
      ['GET', '/signup', FETCH],
      ['GET', '/callback?code=1&state=x', {}],
      ['POST', '/logout', foreign],
      ['POST', '/bye', foreign],
      ['POST', '/switch', foreign],
      ['POST', '/hook', {}],
      ['GET', '/connect/github', FETCH],
      ['GET', '/account', FETCH],
      ['POST', '/token', {}],
    ];
    for (const [method, path, headers] of requests) await send(origin + path, { method, headers });
    expect(told).toEqual([
      ['login', 'invalid_provider'],
      ['login', 'invalid_request'],
      ['signUp', 'invalid_request'],
      ['callback', 'invalid_state'],
      ['logout', 'forbidden'],
      ['logout', 'forbidden'],
      ['switchOrganization', 'forbidden'],
      ['webhooks', 'invalid_request'],
      [undefined, 'unauthenticated'],
      [undefined, 'unauthenticated'],
    ]);
  });

  test('the RFC 6749 errors of the token route are JSON, whatever onError does and the client accepts', async () => {
    const { origin } = await createTestApp(framework, {
      authkit: {
        routes: { token: '/token' },
        onError: ({ res }) => {
          res.end('a page of the application');
        },
      },
    });
    const fields = {
      invalid_request: { nothing: '' },
      invalid_grant: { grant_type: 'authorization_code', code: 'x' },
      unsupported_grant_type: { grant_type: 'password' },
    };
    for (const [error, body] of Object.entries(fields)) {
      const method = 'POST';
      const isForm = error !== 'invalid_request';
      const type = isForm ? 'application/x-www-form-urlencoded' : 'text/plain';
      const headers = { ...NAVIGATION, 'content-type': type };
      const reply = await send(`${origin}/token`, {
        method,
        headers,
        body: new URLSearchParams(body).toString(),
      });
      expect(reply.status).toBe(400);
      expect(JSON.parse(reply.body)).toMatchObject({
        error,
        error_description: expect.any(String) as string,
      });
    }
  });

  test('an onError that responds after a while is waited for, also if it passes the error on', async () => {
    const { origin, site } = await createTestApp(framework, {
      authkit: {
        onError: async ({ error, req, res, next }) => {
          await wait(30);
          if ((req as { originalUrl?: string }).originalUrl === '/pass' || req.url === '/pass') next(error);
          else json(res, { late: error.code });
        },
      },
      routes: (app) => {
        app.route('/pass', requireAuth());
      },
    });
    const reply = await send(`${origin}/account`, { headers: FETCH });
    expect({ status: reply.status, body: reply.body }).toEqual({
      status: 200,
      body: '{"late":"unauthenticated"}',
    });
    expect((await send(`${origin}/pass`, { headers: FETCH })).body).toBe('error');
    expect(site.errors).toMatchObject([{ code: 'unauthenticated' }]);
  });

  test('the page for a signed-out form links to sign-in, and back to the page with the form', async () => {
    const { origin } = await createTestApp(framework);
    const post = async (referer: string | undefined) => {
      const headers = {
        ...NAVIGATION,
        'sec-fetch-site': 'same-origin',
        ...(referer === undefined ? {} : { referer }),
      };
      const reply = await send(`${origin}/account`, { method: 'POST', headers });
      expect(reply.status).toBe(401);
      return hrefOf(reply.body);
    };
    expect(await post(`${origin}/open?form=1`)).toBe(`${origin}/login?returnTo=%2Fopen%3Fform%3D1`);
    for (const referer of [undefined, 'https://evil.example/x', 'junk', `${origin}/logout`])
      expect(await post(referer)).toBe(`${origin}/login`);
  });

  test('the page for a sign-in that cannot begin keeps the returnTo that was asked for', async () => {
    const { origin } = await createTestApp(framework);
    const page = await send(`${origin}/login?provider=nobody&returnTo=/open`, { headers: NAVIGATION });
    expect(hrefOf(page.body)).toBe(`${origin}/login?returnTo=%2Fopen`);
    const evil = await send(`${origin}/login?provider=nobody&returnTo=//evil`, { headers: NAVIGATION });
    expect(hrefOf(evil.body)).toBe(`${origin}/login`);
  });
});

test('an outage at the callback says what to do, and nothing about how the sign-in works', async () => {
  const { origin, browser, workos } = await createTestApp('express5');
  const away = await browser.go(`${origin}/login`);
  const callback = await workos.authorize(away.location!, { user: ADA });
  workos.fail({ on: 'code', status: 500 });
  const page = await browser.go(callback);
  expect(page.status).toBe(503);
  expect(page.body).toContain('<p>We could not sign you in right now. Please try again in a moment.</p>');
  expect(page.headers['referrer-policy']).toBe('same-origin');
});

test('a callback without any cookie says that cookies may be blocked', async () => {
  const { origin, browser, workos } = await createTestApp('express5');
  const away = await browser.go(`${origin}/login`);
  const callback = await workos.authorize(away.location!, { user: ADA });
  const blocked = await send(callback, { headers: NAVIGATION });
  expect(blocked.status).toBe(400);
  expect(blocked.body).toContain('allow cookies for this site');
});

test('an AuthKitError has statusCode, as http-errors have, and a text for the user', () => {
  const error = new AuthKitError('invalid_state', 'the transaction cookie is missing');
  expect(error).toMatchObject({ status: 400, statusCode: 400 });
  expect(error.publicMessage).toMatch(/Please sign in again\.$/);
  const own = new AuthKitError('sign_in_rejected', 'no seat left', { publicMessage: 'Your team is full.' });
  expect(own.publicMessage).toBe('Your team is full.');
});
