// An API and a single-page application on the same origin. The page calls the API with `fetch` and the session cookie, and
// does not handle tokens. A 401 response contains the URL of the login route.
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
