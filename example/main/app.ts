// A small application with sign-in: a public home page, an account page, a billing page that requires a permission, a page
// of devices, and an API. `npm run example` runs it on a test WorkOS, without an account or a network.
import cookieParser from 'cookie-parser';
import express from 'express';
import { authkit, requireAuth, signedIn } from 'authkit-express';
import * as pages from './pages.js';

// The default is an organization of the test WorkOS. With a WorkOS account, set this to one of your organizations.
const organization = process.env['ORGANIZATION_ID'] ?? 'org_01KR351Z9RRWMQ8WC2P3PGCCZV';

const app = express();
const auth = authkit({ routes: { signUp: '/signup' } });
app.use(auth);
app.use(cookieParser()); // Only for the theme cookie below. The session does not need it.

app.get('/', (req, res) => {
  const { theme } = req.cookies as { theme?: string };
  res.send(pages.home(req.auth, theme, organization));
});

app.get('/account', requireAuth(), (req, res) => {
  res.send(pages.account(signedIn(req)));
});

app.get('/billing', requireAuth({ organization: true, permission: 'billing:read' }), (req, res) => {
  res.send(pages.billing(signedIn(req)));
});

app.get('/devices', requireAuth(), async (req, res) => {
  res.send(pages.devices(signedIn(req), await auth.listSessions(req)));
});

app.post('/devices/end', requireAuth({ sameOrigin: true }), express.urlencoded(), async (req, res) => {
  const { id } = req.body as { id?: string };
  // The form could contain the id of another user's session, so it is looked up among the user's own sessions.
  const session = (await auth.listSessions(req)).find((one) => one.id === id);
  if (session) await auth.revokeSession(session.id);
  res.redirect(303, '/devices');
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
