import express from 'express';
import { authkit, requireAuth, signedIn } from 'authkit-express';

export const app = express();
app.use(authkit());

app.get('/', (req, res) => {
  res.json({ signedIn: req.auth.type !== null });
});

app.get('/profile', requireAuth(), (req, res) => {
  res.json({ email: signedIn(req).user.email });
});

app.get('/admin', requireAuth({ role: 'admin' }), (_req, res) => {
  res.json({ admin: true });
});
