import { encode } from '@auth/core/jwt';
import { getSession } from '@auth/express';
import express from 'express';
import { contend, fixture, open, person } from './contend.mjs';

const config = { providers: [], secret: fixture.workos.cookiePassword, trustHost: true, basePath: '/auth' };
const cookie = 'authjs.session-token';

const withAuth = async (req, res, next) => {
  const session = await getSession(req, config);
  if (!session?.user) return res.status(401).json({ error: 'unauthenticated' });
  req.user = session.user;
  next();
};

const app = express();
app.get('/open', open);
app.get('/sign-in', async (req, res) => {
  const user = person(req);
  const token = { sub: user.id, name: `${user.firstName} ${user.lastName}`, email: user.email };
  const tokens = { accessToken: fixture.accessToken, refreshToken: fixture.refreshToken };
  const value = await encode({ token: { ...token, ...tokens }, secret: config.secret, salt: cookie });
  res.cookie(cookie, value, { encode: String });
  res.json({ ok: true });
});
app.get('/me', withAuth, (req, res) => {
  res.json({ email: req.user.email });
});
contend(app);
