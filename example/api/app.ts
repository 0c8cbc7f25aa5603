// A JSON API for native clients, with roles. A client signs its user in at /login, gets tokens from POST /token, and sends
// the access token as a bearer token: see "Native and single-page clients" in docs/sign-in.md.
import express from 'express';
import { authkit, requireAuth, signedIn } from 'authkit-express';
import { orders } from './orders.js';

const app = express();
app.use(
  authkit({
    routes: { token: '/token' },
    clientRedirectUris: [process.env['CLIENT_REDIRECT_URI'] ?? 'com.example.app:/signed-in'],
  }),
);

const api = express.Router();
app.use('/api', requireAuth({ accepts: ['bearer'] }), api);

api.get('/me', (req, res) => {
  const { user, organizationId, role } = signedIn(req);
  res.json({ email: user.email, organizationId, role });
});

api.get('/orders', (_req, res) => {
  res.json([...orders]);
});

api.delete('/orders/:id', requireAuth({ accepts: ['bearer'], role: 'admin' }), (req, res) => {
  res.sendStatus(orders.delete(req.params.id) ? 204 : 404);
});

export const server = app.listen(process.env['PORT'] ?? 3000);
