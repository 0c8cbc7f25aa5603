import cookieParser from 'cookie-parser';
import { doubleCsrf } from 'csrf-csrf';
import express from 'express';
import request from 'supertest';
import { expect, onTestFinished, test } from 'vitest';
import { authkit, requireAuth } from 'authkit-express';
import { createTestWorkOS } from 'authkit-express/testing';

test('a CSRF token that is bound to the session works after a refresh, and not after a new sign-in', async () => {
  const workos = await createTestWorkOS();
  onTestFinished(() => workos.close());
  const app = express();
  app.use(authkit(workos.options), cookieParser());
  const { doubleCsrfProtection, generateCsrfToken } = doubleCsrf({
    getSecret: () => 'a secret of this test',
    getSessionIdentifier: ({ auth }) => (auth.type === 'session' ? auth.sessionId : ''),
    cookieName: 'csrf',
    cookieOptions: { secure: false },
  });
  app.use(doubleCsrfProtection);
  app.get('/form', requireAuth(), (req, res) => {
    res.send(generateCsrfToken(req, res));
  });
  app.post('/form', requireAuth(), (_req, res) => {
    res.send('saved');
  });

  const browser = await workos.signInAgent(request.agent(app));
  const { text: token } = await browser.get('/form').expect(200);
  await browser.post('/form').expect(403);
  await browser.post('/form').set('x-csrf-token', token).expect(200);
  workos.clock.advance(600_000);
  await browser.post('/form').set('x-csrf-token', token).expect(200);
  expect(workos.callsTo('refresh')).toHaveLength(1);
  await workos.signInAgent(browser);
  await browser.post('/form').set('x-csrf-token', token).expect(403);
  // The routes of the package check the origin instead.
  await browser.post('/logout').expect(303);
});
