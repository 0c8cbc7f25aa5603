// An application of `npm run test:types`. It is compiled and never run.
import type { IncomingMessage } from 'node:http';
import express from 'express';
import {
  authkit,
  AuthKitError,
  protectedResource,
  requireAuth,
  signedIn,
  sso,
  type Auth,
  type AuthKitOptions,
  type SavedSession,
  type SessionAuth,
} from 'authkit-express';
import { postgresStore } from 'authkit-express/postgres';
import { redisStore } from 'authkit-express/redis';
import { createTestWorkOS, testStore } from 'authkit-express/testing';

const options: AuthKitOptions = { onSuccess: ({ user }) => ({ data: { email: user.email } }) };
const auth = authkit(options);
const { getSignInUrl, saveSession, signOut, requireAuth: guard, workos } = auth;
const app = express();
app.use(auth, sso());
app.get('/account', requireAuth(), guard({ role: 'admin' }), (req, res) => {
  const { user } = signedIn(req);
  const email: string = user.email;
  res.json({ email, id: req.user });
});
app.get('/sign-in', (req, res, next) => {
  getSignInUrl(req, res, { returnTo: '/account' }).then((url) => res.redirect(url), next);
});
app.post('/password', (req, res, next) => {
  workos.userManagement
    .authenticateWithPassword({ email: 'ada@example.com', password: 'secret' })
    .then((response) => saveSession(req, res, response))
    .then((saved: SavedSession | undefined) => saved && res.redirect(saved.returnTo))
    .catch(next);
});
app.post('/sign-out', (req, res, next) => {
  signOut(req, res).catch(next);
});
app.use(protectedResource({ resource: 'https://a.example', authorizationServers: ['https://b.example'] }));
app.use((error: unknown, _req: express.Request, res: express.Response, next: express.NextFunction) => {
  if (error instanceof AuthKitError) res.status(error.status).end();
  else next(error);
});

export const sessionOf = (given: Auth): SessionAuth | undefined =>
  given.type === 'session' ? given : undefined;
export const urlOf = (req: IncomingMessage): string | undefined => req.url;
export const stores = [postgresStore, redisStore, createTestWorkOS, testStore];
// @ts-expect-error -- there is no such option, which shows that the types are not `any`
authkit({ nonsense: true });
