// Seeing in production what sign-in does. Start your OpenTelemetry SDK as you do for everything else; without one,
// the calls of its API do nothing.
import './telemetry.js';
import express from 'express';
import { authkit, requireAuth, signedIn } from 'authkit-express';

const app = express();
app.use(authkit());
app.get('/', requireAuth(), (req, res) => {
  res.type('text').send(`Hello ${signedIn(req).user.email}`);
});
app.get('/admin', requireAuth({ role: 'admin' }), (_req, res) => {
  res.send('For administrators');
});

export const server = app.listen(process.env['PORT'] ?? 3000);
