// A service in TypeScript: `req.user` has the type of the service's own accounts, and API keys of WorkOS are accepted beside
// sessions.
import express from 'express';
import { authkit, requireAuth } from 'authkit-express';
import { findAccount, LIMITS, reportsOf, type Account } from './reports.js';

declare module 'authkit-express' {
  interface AppUser {
    id: Account['id'];
    email: Account['email'];
    plan: Account['plan'];
  }
}

const app = express();
app.use(authkit({ loadUser: ({ user }) => findAccount(user.id) }));

app.get('/account', requireAuth(), (req, res) => {
  const { id, plan = 'free' } = req.user ?? {};
  res.json({ id, plan, limit: LIMITS[plan] });
});

const reader = { accepts: ['session', 'apiKey'], permission: 'reports:read' } as const;
app.get('/reports', requireAuth(reader), async ({ auth }, res) => {
  // `auth` is narrowed by its type: only an API key has `apiKey`.
  const by = auth.type === 'apiKey' ? auth.apiKey.name : auth.user?.email;
  res.json({ by, reports: await reportsOf(auth.type === null ? undefined : auth.organizationId) });
});

export const server = app.listen(process.env['PORT'] ?? 3000);
