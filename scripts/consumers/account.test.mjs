import express from 'express';
import request from 'supertest';
import { authkit, requireAuth, signedIn } from 'authkit-express';
import { createTestWorkOS } from 'authkit-express/testing';

let workos;
let app;
beforeAll(async () => {
  workos = await createTestWorkOS();
  app = express();
  app.use(authkit(workos.options));
  app.get('/account', requireAuth(), (req, res) => res.send(signedIn(req).user.email));
});
afterAll(() => workos.close());

test('a person sees their own page, also when the token has expired', async () => {
  await request(app).get('/account').expect(401);
  const person = await workos.signInAgent(request.agent(app), { user: 'ada@example.com' });
  await person.get('/account').expect(200, 'ada@example.com');
  workos.clock.advance(3_600_000);
  await person.get('/account').expect(200, 'ada@example.com');
});
