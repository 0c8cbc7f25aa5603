// A small application with sign-in: public pages, an account, a page for who may see billing, and an API.
// `npm run example` runs it on a WorkOS in its own process: no account, no network.
import cookieParser from 'cookie-parser';
import express from 'express';
import { authkit, requireAuth, signedIn } from 'authkit-express';
import * as pages from './pages.js';

const app = express();
app.use(authkit());
app.use(cookieParser()); // For the application's own cookie; the session does not need it.

app.get('/', (req, res) => {
  const { theme } = req.cookies as { theme?: string };
  res.send(pages.home(req.auth, theme));
});

app.get('/account', requireAuth(), (req, res) => {
  res.send(pages.account(signedIn(req)));
});

app.get('/billing', requireAuth({ organization: true, permission: 'billing:read' }), (req, res) => {
  res.send(pages.billing(signedIn(req)));
});

app.get('/api/me', requireAuth(), (req, res) => {
  const { user, organizationId, role, permissions } = signedIn(req);
  res.json({ email: user.email, organizationId, role, permissions });
});

app.post('/theme', (req, res) => {
  const { theme } = req.cookies as { theme?: string };
  res.cookie('theme', theme === 'warm' ? 'cool' : 'warm', { sameSite: 'lax', httpOnly: true });
  res.redirect(303, '/');
});

export const server = app.listen(process.env['PORT'] ?? 3000);
