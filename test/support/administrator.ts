import { expect } from 'vitest';
import { protectedResource, requireAuth } from 'authkit-express';
import { createTestApp, type Options, type TestApp, whoami } from './app.js';
import { send } from './browser.js';

const SECRET = 'whsec_of_this_test';

/** An administrator of the organization Acme. */
export const GRACE = 'grace@example.com';

/** The protected resource of the application. */
export const RESOURCE = 'https://api.example.com/mcp';

/**
 * An application whose `/account` is for administrators, and which receives webhooks. Clients send access tokens to
 * `/api`, which is for administrators too, and to the protected resource `/mcp`.
 */
export function createAdministratorApp(
  authkit: Options = {},
  workos: { now?: number } = {},
): Promise<TestApp> {
  return createTestApp('express5', {
    authkit,
    workos: {
      ...workos,
      webhookSecret: SECRET,
      organizations: [{ id: 'org_acme', name: 'Acme' }],
      users: [{ email: GRACE, memberships: [{ organizationId: 'Acme', role: 'admin' }] }],
    },
    mount: (app, auth) => {
      app.use('/hook', auth.webhooks({ secret: SECRET }));
      app.use(auth);
    },
    rule: { role: 'admin' },
    routes: (app, _auth, { workos: { url } }) => {
      const mcp = protectedResource({ resource: RESOURCE, authorizationServers: [url] });
      app.route('/api', requireAuth({ accepts: ['bearer'], role: 'admin' }), whoami);
      app.route('/mcp', mcp.requireAuth(), whoami);
    },
  });
}

/** Removes the administrator's role at WorkOS two seconds later, and sends the webhook to a process. */
export async function removeRole({ workos, origin }: TestApp, receiver = origin): Promise<void> {
  workos.clock.advance(2000);
  const { id } = workos.putUser({
    email: GRACE,
    memberships: [{ organizationId: 'Acme', role: 'member' }],
  });
  await deliver(workos.webhook('organization_membership.updated', { id: 'om_1', user_id: id }), receiver);
}

/** Sends a webhook to a process. */
export async function deliver(
  { body, headers }: ReturnType<TestApp['workos']['webhook']>,
  origin: string,
): Promise<void> {
  const reply = await send(`${origin}/hook`, { method: 'POST', headers: { ...headers }, body });
  expect(reply.status).toBe(200);
}
