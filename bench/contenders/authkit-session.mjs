import { configure, CookieSessionStorage, createAuthService } from '@workos/authkit-session';
import express from 'express';
import { contend, fixture, open } from './contend.mjs';
import { cookieOf } from './cookie.mjs';

configure(fixture.workos);

class Storage extends CookieSessionStorage {
  getCookie(req, name) {
    return Promise.resolve(cookieOf(req, name) || null);
  }
}
const service = createAuthService({ sessionStorageFactory: (config) => new Storage(config) });

const withAuth = async (req, res, next) => {
  const { auth } = await service.withAuth(req);
  if (!auth.user) return res.status(401).json({ error: 'unauthenticated' });
  req.user = auth.user;
  next();
};

const app = express();
app.get('/open', open);
app.get('/me', withAuth, (req, res) => {
  res.json({ email: req.user.email });
});
contend(app);
