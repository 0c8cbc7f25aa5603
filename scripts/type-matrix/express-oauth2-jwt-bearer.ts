import express from 'express';
import { auth as jwt } from 'express-oauth2-jwt-bearer';
import { requireAuth, signedIn } from 'authkit-express';

export const app = express();
app.use('/api', jwt({ audience: 'a', issuerBaseURL: 'https://b.example' }), (req, res) => {
  // `req.auth` has the type that the other package declares.
  const subject: string | undefined = req.auth?.payload.sub;
  res.json({ subject });
});
app.get('/account', requireAuth(), (req, res) => {
  res.json({ email: signedIn(req).user.email });
});
