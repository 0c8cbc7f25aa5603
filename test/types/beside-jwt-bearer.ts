import express from 'express';
import { auth as jwt } from 'express-oauth2-jwt-bearer';
import { authkit, requireAuth, signedIn } from 'authkit-express';

const app = express();
app.use(authkit());
app.use('/api', jwt({ audience: 'a' }), (req, res) => {
  const subject: string | undefined = req.auth?.payload.sub;
  // @ts-expect-error -- it has the type that the other package declares
  res.json({ subject, type: req.auth.type });
});
app.get('/account', requireAuth(), (req, res) => {
  res.json({ email: signedIn(req).user.email });
});
