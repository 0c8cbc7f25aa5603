// In memory, or with BENCH_REDIS in a Redis. The cookie is an id, so the requests are smaller than everybody else's.
import express from 'express';
import expressSession from 'express-session';
import { contend, fixture, open, person } from './contend.mjs';

async function redisStore(url) {
  const { createClient } = await import('redis');
  const { RedisStore } = await import('connect-redis');
  return new RedisStore({ client: await createClient({ url }).connect() });
}

const url = process.env.BENCH_REDIS;
const app = express();
app.use(
  expressSession({
    ...(url ? { store: await redisStore(url) } : {}),
    secret: fixture.workos.cookiePassword,
    resave: false,
    saveUninitialized: false,
  }),
);
app.get('/open', open);
app.get('/sign-in', (req, res) => {
  const { accessToken, refreshToken } = fixture;
  Object.assign(req.session, { user: person(req), accessToken, refreshToken });
  res.json({ ok: true });
});
app.get('/me', (req, res) => {
  if (!req.session.user) return res.status(401).json({ error: 'unauthenticated' });
  res.json({ email: req.session.user.email });
});
contend(app);
