// An Express API that uses the sessions of a Next.js application with @workos-inc/authkit-nextjs on the same domain.
// Both need the same WORKOS_COOKIE_PASSWORD, WORKOS_CLIENT_ID and WORKOS_API_KEY. On different sub-domains, they also
// need the same WORKOS_COOKIE_DOMAIN. Next.js handles sign-in and sign-out: this API responds with 401, and the page
// redirects.
import express from 'express';
import { authkit, requireAuth, signedIn } from 'authkit-express';

const app = express();
app.use(authkit({ routes: { login: false, callback: false, logout: false } }));

app.get('/api/orders', requireAuth(), (req, res) => {
  const { user, organizationId } = signedIn(req);
  res.json({ email: user.email, organizationId, orders: [] });
});

export const server = app.listen(process.env['PORT'] ?? 3000);
