// The SDK as WorkOS's guide for Express has it: a middleware that authenticates, and a handler that opens the session again.
import { WorkOS } from '@workos-inc/node';
import express from 'express';
import { contend, fixture, open } from './contend.mjs';
import { cookieOf } from './cookie.mjs';

const { cookiePassword, apiPort: port, ...options } = fixture.workos;
const workos = new WorkOS(options.apiKey, { ...options, https: false, port });

const load = (req) =>
  workos.userManagement.loadSealedSession({ sessionData: cookieOf(req, 'wos-session'), cookiePassword });

const withAuth = async (req, res, next) => {
  const { authenticated, reason } = await load(req).authenticate();
  if (!authenticated) return res.status(401).json({ error: reason });
  next();
};

const app = express();
app.get('/open', open);
app.get('/me', withAuth, async (req, res) => {
  const { user } = await load(req).authenticate();
  res.json({ email: user.email });
});
contend(app);
