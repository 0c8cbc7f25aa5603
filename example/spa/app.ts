// An API and the single-page application that uses it, on one origin: the cookie is all there is to it. The page asks
// with plain `fetch`, without a token of its own, and an answer of 401 says where to sign in.
import express from 'express';
import { authkit, requireAuth, signedIn } from 'authkit-express';

const app = express();
app.use(authkit());

const api = express.Router();
api.use(requireAuth());
api.get('/me', (req, res) => {
  const { user, organizationId, permissions } = signedIn(req);
  res.json({ email: user.email, organizationId, permissions });
});
api.get('/invoices', requireAuth({ permission: 'billing:read' }), (_req, res) => {
  res.json([{ id: 1, total: '12.00' }]);
});
app.use('/api', api);

app.use(express.static(`${import.meta.dirname}/public`));

export const server = app.listen(process.env['PORT'] ?? 3000);
