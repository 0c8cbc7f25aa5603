// Vite in middleware mode, after authkit() and the API: it answers every path that nothing before it has answered.
import express from 'express';
import { createServer } from 'vite';
import { authkit, requireAuth, signedIn } from 'authkit-express';

export async function createApp(options) {
  const app = express();
  app.use(authkit(options));
  app.get('/api/me', requireAuth(), (req, res) => {
    res.json({ email: signedIn(req).user.email });
  });

  const vite = await createServer({ root: 'public', server: { middlewareMode: true }, appType: 'spa' });
  app.use(vite.middlewares);
  return { app, close: () => vite.close() };
}
