// connect-history-api-fallback, after authkit() and the API: it answers every page with index.html.
import history from 'connect-history-api-fallback';
import express from 'express';
import { authkit, requireAuth, signedIn } from 'authkit-express';

export function createApp(options) {
  const app = express();
  app.use(authkit(options));
  app.get('/api/me', requireAuth(), (req, res) => {
    res.json({ email: signedIn(req).user.email });
  });

  app.use(history());
  app.use(express.static('public'));
  return { app, close: () => undefined };
}
