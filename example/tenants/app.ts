// Several tenants in one process, each with its own WorkOS environment, users, keys, URLs and cookie. Every tenant has
// a separate authkit() instance, and instances share no global state.
import express, { type Router } from 'express';
import { authkit } from 'authkit-express';

const { APP_URL = 'http://localhost:3000', TENANTS = 'acme,globex' } = process.env;

const app = express();
for (const name of TENANTS.split(',')) app.use(`/${name}`, tenant(name));

/**
 * Serves everything below /NAME. The credentials are NAME_CLIENT_ID and NAME_API_KEY, or else those shared by all
 * tenants.
 */
function tenant(name: string): Router {
  const own = (variable: string) => process.env[`${name.toUpperCase()}_${variable}`];
  const [clientId, apiKey] = [own('CLIENT_ID'), own('API_KEY')];
  const auth = authkit({
    ...(clientId && apiKey ? { clientId, apiKey } : {}),
    redirectUri: `${APP_URL}/${name}/callback`,
    cookie: { name: `session-${name}` },
    returnTo: `/${name}/`,
  });
  const router = express.Router();
  router.use(auth);
  router.get('/', auth.requireAuth(), (req, res) => {
    res.json({ tenant: name, email: req.user?.email });
  });
  return router;
}

export const server = app.listen(process.env['PORT'] ?? 3000);
