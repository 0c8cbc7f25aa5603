// An Express API beside a Next.js application that signs people in with @workos-inc/authkit-nextjs: one domain, one
// session. Both have the same WORKOS_COOKIE_PASSWORD, WORKOS_CLIENT_ID and WORKOS_API_KEY, and WORKOS_COOKIE_DOMAIN if
// they are on sub-domains. Sign-in and sign-out stay with Next.js: this API answers 401, and the page there goes to sign-in.
import express from 'express';
import { authkit, requireAuth, signedIn } from 'authkit-express';

const app = express();
app.use(authkit({ routes: { login: false, callback: false, logout: false } }));

app.get('/api/orders', requireAuth(), (req, res) => {
  const { user, organizationId } = signedIn(req);
  res.json({ email: user.email, organizationId, orders: [] });
});

export const server = app.listen(process.env['PORT'] ?? 3000);
