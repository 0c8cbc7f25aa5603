// A small application with sign-in. `npm run example` runs it on a WorkOS in this process: no account, no network.
// With WORKOS_API_KEY set it runs on the real one, configured by the environment; see the README.
import type { AddressInfo } from 'node:net';
import cookieParser from 'cookie-parser';
import express from 'express';
import { authkit, requireAuth, signedIn, type AuthKitOptions } from 'authkit-express';
import { createTestWorkOS } from 'authkit-express/testing';
import * as pages from './pages.js';

const port = Number(process.env['PORT'] ?? 3000);
const app = express();
const server = app.listen(port);
await new Promise((resolve, reject) => server.once('listening', resolve).once('error', reject));
const origin = `http://localhost:${(server.address() as AddressInfo).port}`;

app.use(authkit(await options()));
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

console.log(`\n  Open ${origin}\n`);

/** Which WorkOS: the real one if there is a key, else one in this process with a few people in it. */
async function options(): Promise<AuthKitOptions> {
  const redirectUri = process.env['WORKOS_REDIRECT_URI'] ?? `${origin}/callback`;
  if (process.env['WORKOS_API_KEY']) return { redirectUri };
  const workos = await createTestWorkOS({ redirectUris: [redirectUri], homepage: origin });
  console.log(
    '  WORKOS_API_KEY is not set: running on a test WorkOS. Sign in as Ada (may see billing), Grace or Alan.',
  );
  return { ...workos.options, redirectUri };
}
