import { expect, test } from 'vitest';
import { ADA, createTestApp } from '../support/app.js';
import { FETCH, NAVIGATION, send } from '../support/browser.js';
import { FRAMEWORKS } from '../support/frameworks.js';

test.each(FRAMEWORKS)(
  'on %s, a session in an organization that the user has left ends at its next refresh',
  async (framework) => {
    const { origin, cookie, workos, served } = await createTestApp(framework, {
      workos: {
        organizations: [{ id: 'org_acme', name: 'Acme' }],
        users: [{ email: ADA, memberships: [{ organizationId: 'org_acme' }] }],
      },
    });
    const session = await cookie({ user: ADA, organizationId: 'org_acme' });
    workos.clock.advance(600_000);
    const notAMember = { error: 'organization_membership_not_found', error_description: 'Not a member.' };
    for (const status of [400, 404]) {
      const fault = workos.fail({ on: 'refresh', status, body: notAMember });
      const fresh = await cookie({ user: ADA, organizationId: 'org_acme', expiresIn: -1 });
      const script = await send(`${origin}/account`, { headers: { ...FETCH, cookie: fresh } });
      expect([status, script.status]).toEqual([status, 401]);
      fault.restore();
    }
    workos.fail({ on: 'refresh', status: 404, body: { code: 'organization_membership_not_found' } });
    const page = await send(`${origin}/account`, { headers: { ...NAVIGATION, cookie: session } });
    expect(page.status).toBe(302);
    expect(page.location).not.toContain('org_acme');
    expect(page.setCookies.some((line) => line.startsWith('wos-session=; Max-Age=0'))).toBe(true);
    expect(served()).toBe(0);
  },
);
