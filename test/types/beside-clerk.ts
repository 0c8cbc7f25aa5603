import express from 'express';
import { clerkMiddleware } from '@clerk/express';
import { authkit, requireAuth, signedIn } from 'authkit-express';

const app = express();
app.use(authkit(), clerkMiddleware());
app.use('/old', (req, res) => {
  const who = req.auth();
  // @ts-expect-error -- it has the type that the other package declares
  res.json({ isSignedIn: who.isAuthenticated, type: req.auth.type });
});
app.get('/account', requireAuth(), (req, res) => {
  res.json({ email: signedIn(req).user.email });
});
