// A small product with sign-in: a public home page, an account, invoices for users with a permission, a list of devices,
// and an API. `npm run example` runs it on a test WorkOS, without an account or a network.
import { join } from 'node:path';
import express from 'express';
import { authkit, requireAuth, signedIn, type ActiveSession } from 'authkit-express';
import * as pages from './pages.js';

// The default is an organization of the test WorkOS. With a WorkOS account, set the variable to one of your
// organizations.
const organizationId = process.env['ORGANIZATION_ID'] ?? 'org_01KR351Z9RRWMQ8WC2P3PGCCZV';

const app = express();
app.use(express.static(join(import.meta.dirname, 'public')));
app.get('/favicon.ico', (_req, res) => {
  res.sendFile(join(import.meta.dirname, 'public/logo.svg'));
});

const auth = authkit({
  routes: { signUp: '/signup' },
  pages: { title: pages.NAME, logo: '/logo.svg', color: pages.COLOR },
});
app.use(auth);

app.get('/', (req, res) => {
  res.send(pages.home(req.auth, organizationId));
});

app.get('/account', requireAuth(), async (req, res) => {
  const user = signedIn(req);
  res.send(pages.account(user, await nameOf(user.organizationId)));
});

app.get('/billing', requireAuth({ organization: true, permission: 'billing:read' }), async (req, res) => {
  const user = signedIn(req);
  res.send(pages.billing(user, await nameOf(user.organizationId)));
});

app.get('/devices', requireAuth(), async (req, res) => {
  const sessions = await auth.listSessions(req);
  res.send(pages.devices(signedIn(req), sessions, await namesOf(sessions)));
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

app.use((req, res) => {
  res.status(404).send(pages.notFound(req.auth));
});

/** Organization names by ID. A session contains only the ID, so each name is fetched from WorkOS once. */
const names = new Map<string, string>();

async function nameOf(id: string | undefined): Promise<string | undefined> {
  if (id === undefined) return undefined;
  try {
    if (!names.has(id)) names.set(id, (await auth.workos.organizations.getOrganization(id)).name);
  } catch {
    // WorkOS is unavailable, or does not know the organization. The page is useful without the name.
  }
  return names.get(id) ?? 'Your organization';
}

async function namesOf(sessions: readonly ActiveSession[]): Promise<ReadonlyMap<string, string>> {
  await Promise.all([...new Set(sessions.map((session) => session.organizationId))].map(nameOf));
  return names;
}

export const server = app.listen(process.env['PORT'] ?? 3000);
