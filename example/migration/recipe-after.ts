import express from 'express';
import { authkit, requireAuth, signedIn } from 'authkit-express';

export const app = express();
app.use(authkit({ returnTo: '/dashboard' }));

app.get('/dashboard', requireAuth(), (req, res) => {
  const { email } = signedIn(req).user;
  res.json({ email });
});
