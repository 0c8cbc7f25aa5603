// Checked only: types as an application meets them.
import express from 'express';
import {
  authkit,
  requireAuth,
  signedIn,
  AuthKitError,
  type Auth,
  type AuthKitOptions,
} from 'authkit-express';
import { createTestWorkOS, type TestWorkOS } from 'authkit-express/testing';

const options: AuthKitOptions = {
  cookie: { sameSite: 'lax' },
  onSuccess: ({ user }) => ({ data: { id: user.id } }),
  onError({ error }) {
    const code: 'forbidden' | undefined = error.code === 'forbidden' ? error.code : undefined;
    return code;
  },
};
const app = express();
app.use(authkit(options));
app.use('/admin', requireAuth({ role: 'admin', maxAge: 300 }));
app.get('/bare', requireAuth, (_req, res) => {
  res.end();
});
app.get('/account', requireAuth(), (req, res) => {
  const email: string = signedIn(req).user.email;
  const auth: Auth = req.auth;
  const id: string | undefined = req.user?.id;
  const session: string | null =
    auth.type === null ? null : auth.user && auth.type === 'session' ? auth.sessionId : null;
  // @ts-expect-error -- the user may be signed out
  const wrong: string = req.auth.sessionId;
  // @ts-expect-error -- a rule is checked by the compiler too
  requireAuth({ rolle: 'admin' });
  res.json([email, id, session, wrong]);
});
export const workos: Promise<TestWorkOS> = createTestWorkOS();
export const isOurs = (error: unknown): boolean => error instanceof AuthKitError && error.status === 403;
