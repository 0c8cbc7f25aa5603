// The SDK's session helper, once a request: the least that it can be used for.
import { WorkOS } from '@workos-inc/node';
import express from 'express';
import { contend, fixture, open } from './contend.mjs';
import { cookieOf } from './cookie.mjs';

const { cookiePassword, apiPort: port, ...options } = fixture.workos;
const workos = new WorkOS(options.apiKey, { ...options, https: false, port });

const withAuth = async (req, res, next) => {
  const sessionData = cookieOf(req, 'wos-session');
  const session = workos.userManagement.loadSealedSession({ sessionData, cookiePassword });
  const result = await session.authenticate();
  if (!result.authenticated) return res.status(401).json({ error: result.reason });
  req.user = result.user;
  next();
};

const app = express();
app.get('/open', open);
app.get('/me', withAuth, (req, res) => {
  res.json({ email: req.user.email });
});
contend(app);
