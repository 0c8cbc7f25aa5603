import express from 'express';
import { getIronSession } from 'iron-session';
import { contend, fixture, open, person } from './contend.mjs';

const options = {
  cookieName: 'session',
  password: fixture.workos.cookiePassword,
  cookieOptions: { secure: false },
};

const app = express();
app.get('/open', open);
app.get('/sign-in', async (req, res) => {
  const session = await getIronSession(req, res, options);
  const { accessToken, refreshToken } = fixture;
  Object.assign(session, { user: person(req), accessToken, refreshToken });
  await session.save();
  res.json({ ok: true });
});
app.get('/me', async (req, res) => {
  const session = await getIronSession(req, res, options);
  if (!session.user) return res.status(401).json({ error: 'unauthenticated' });
  res.json({ email: session.user.email });
});
contend(app);
