import { expect, onTestFinished, test } from 'vitest';
import { requireAuth } from 'authkit-express';
import { FETCH, send } from '../support/browser.js';
import { createCorpusApp } from '../support/corpus-app.js';
import { createTestApp } from '../support/app.js';

test('T20 no spelling of a path bypasses the guard', async () => {
  const at = await createCorpusApp('express5');
  onTestFinished(() => at.close());
  const cookie = await at.workos.signIn();
  expect(await at.raw('/protected', [`Cookie: ${cookie}`])).toMatch(/^HTTP\/1\.1 200 /);
  expect(at.served()).toBe(1);
  for (const path of [
    '/protected',
    '//protected',
    '/PROTECTED',
    '/%70rotected',
    '/x/../protected',
    '/protected/',
    '/protected;x',
    '/protected%2f',
    'http://evil.example/protected',
    '/protected#x',
    '\\protected',
  ])
    expect(await at.raw(path, ['Accept: application/json']), path).toMatch(/^HTTP\/1\.1 4\d\d /);
  expect(at.served()).toBe(1);
});

test('T21 no header authenticates an anonymous request', async () => {
  const { origin, served } = await createTestApp('express5');
  for (const name of [
    'x-workos-session',
    'x-workos-middleware',
    'x-middleware-subrequest',
    'x-forwarded-user',
    'remote-user',
    'x-user-id',
    'authorization',
  ])
    for (const value of ['true', 'user_1', '{"user":{"id":"user_1"}}', 'Bearer x.y.z'])
      expect((await send(`${origin}/account`, { headers: { ...FETCH, [name]: value } })).status).toBe(401);
  expect(served()).toBe(0);
});

test('T22 the handler is not called if keys are broken, the middleware is missing, or other middleware sets req.user', async () => {
  let ran = 0;
  const at = await createTestApp('express5', {
    mount: (app, auth) => {
      app.route('/unmounted', requireAuth(), () => (ran += 1));
      app.use((req, _res, next) => {
        Object.assign(req, { auth: { type: 'session', user: { id: 'user_1' } }, user: { id: 'user_1' } });
        next();
      });
      app.use(auth);
      app.use((req, _res, next) => {
        Object.assign(req, { auth: { type: 'session', user: { id: 'user_1' } }, user: new Error('no') });
        next();
      });
    },
  });
  expect((await send(`${at.origin}/unmounted`, { headers: FETCH })).status).toBe(500);
  expect((await send(`${at.origin}/account`, { headers: FETCH })).status).toBe(401);
  at.workos.fail({ on: 'jwks', status: 500 });
  const cookie = await at.cookie();
  expect((await send(`${at.origin}/account`, { headers: { ...FETCH, cookie } })).status).toBe(503);
  expect({ ran, served: at.served() }).toEqual({ ran: 0, served: 0 });
});
