// Reports metrics and spans with OpenTelemetry. Start your OpenTelemetry SDK as usual; without it, the calls of its API have
// no effect.
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
