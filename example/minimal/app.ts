// The smallest application: sign-in, sign-out (POST /logout), and a page for signed-in users.
import express from 'express';
import { authkit, requireAuth, signedIn } from 'authkit-express';

const app = express();
app.use(authkit());

app.get('/', requireAuth(), (req, res) => {
  res.type('text').send(`Hello ${signedIn(req).user.email}`);
});

export const server = app.listen(process.env['PORT'] ?? 3000);
