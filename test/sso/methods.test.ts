import type { IncomingMessage } from 'node:http';
import { expect, onTestFinished, test } from 'vitest';
import { protectedResource, type SSO } from 'authkit-express';
import { Browser, FETCH, NAVIGATION, send } from '../support/browser.js';
import { ADA, json } from '../support/app.js';
import { createSSOWorkOS, startSSO } from './support.js';

// The first test of this file: there is at most one warning a minute per process.
test('sso() warns if its store does not work, because a sign-out then stays unknown to other processes', async () => {
  const warnings: NodeJS.ErrnoException[] = [];
  const listener = (warning: Error) => void warnings.push(warning);
  process.on('warning', listener);
  onTestFinished(() => void process.off('warning', listener));
  const workos = await createSSOWorkOS();
  const fail = () => Promise.reject(new Error('down'));
  const store = { get: fail, set: fail, add: fail, replace: fail, delete: fail };
  const { origin, signIn } = await startSSO(workos, 'express5', { options: { store } });
  const { browser } = await signIn();
  expect((await browser.fetch(`${origin}/account`)).status).toBe(200);
  expect(warnings.filter(({ code }) => code === 'AUTHKIT_STORE')).toHaveLength(1);
});

test('authenticate() of sso() finds the user of a request without a response, and refuses foreign WebSockets', async () => {
  const workos = await createSSOWorkOS();
  let instance!: SSO;
  const { origin, signIn } = await startSSO(workos, 'express5', {
    routes: (_app, single) => {
      instance = single;
    },
  });
  const { cookie } = await signIn();
  const userOf = async (headers: Record<string, string>) => {
    const req = { method: 'GET', url: '/socket', headers } as unknown as IncomingMessage;
    return (await instance.authenticate(req)).user?.email;
  };
  expect(await userOf({ cookie })).toBe(ADA);
  expect(await userOf({})).toBeUndefined();
  const upgrade = { cookie, connection: 'Upgrade', upgrade: 'websocket', host: new URL(origin).host };
  expect(await userOf({ ...upgrade, origin })).toBe(ADA);
  expect(await userOf({ ...upgrade, origin: 'https://evil.example' })).toBeUndefined();
});

test('onError of sso() learns that the callback failed', async () => {
  const workos = await createSSOWorkOS();
  const failed: unknown[] = [];
  const { origin } = await startSSO(workos, 'express5', {
    options: {
      onError: ({ error, route, res }) => {
        failed.push([route, error.code]);
        res.writeHead(418).end();
      },
    },
  });
  const reply = await new Browser().go(`${origin}/sso/callback?code=x&state=y`);
  expect([reply.status, failed]).toEqual([418, [['callback', 'invalid_state']]]);
});

test('a protected resource behind sso() alone refuses tokens and API keys', async () => {
  const workos = await createSSOWorkOS();
  const resource = 'http://127.0.0.1/api';
  const { origin } = await startSSO(workos, 'express5', {
    routes: (app) => {
      const api = protectedResource({ resource, authorizationServers: [workos.url] });
      app.route('/api', api.requireAuth({ accepts: ['bearer', 'machine', 'apiKey'] }), (_req, res) => {
        json(res, 'served');
      });
    },
  });
  for (const token of [await workos.oauthToken({ audience: resource }), workos.createApiKey()]) {
    const headers = { ...FETCH, authorization: `Bearer ${token}` };
    const reply = await send(`${origin}/api`, { headers });
    expect(reply.status).toBe(401);
    expect(reply.headers['www-authenticate']).toContain('error="invalid_token"');
  }
});

test('getSignInUrl() of sso() returns the URL of WorkOS and sets the cookie of the sign-in', async () => {
  const workos = await createSSOWorkOS();
  const { origin } = await startSSO(workos, 'express5', {
    routes: (app, single) => {
      app.route('/start', async (req, res) => {
        json(res, { url: await single.getSignInUrl(req, res) });
      });
    },
  });
  const reply = await send(`${origin}/start`, { headers: NAVIGATION });
  const { url } = JSON.parse(reply.body) as { url: string };
  expect(new URL(url).pathname).toBe('/sso/authorize');
  expect(reply.setCookies).toHaveLength(1);
});
