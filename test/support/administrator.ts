import { expect } from 'vitest';
import { createTestApp, type Options, type TestApp } from './app.js';
import { send } from './browser.js';

const SECRET = 'whsec_of_this_test';

/** An administrator of the organization Acme. */
export const GRACE = 'grace@example.com';

/** An application whose `/account` is for administrators, and which receives webhooks. */
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
  });
}

/** Removes the administrator's role at WorkOS two seconds later, and sends the webhook to a process. */
export async function removeRole({ workos, origin }: TestApp, receiver = origin): Promise<void> {
  workos.clock.advance(2000);
  const { id } = workos.putUser({
    email: GRACE,
    memberships: [{ organizationId: 'Acme', role: 'member' }],
  });
  const { body, headers } = workos.webhook('organization_membership.updated', { id: 'om_1', user_id: id });
  const reply = await send(`${receiver}/hook`, { method: 'POST', headers: { ...headers }, body });
  expect(reply.status).toBe(200);
}
