import { expect, test } from 'vitest';
import { ADA, createTestApp } from '../support/app.js';

test('T51 a link gives its visitor neither a role over the one that was given, nor metadata of its choice', async () => {
  const { origin, browser, workos } = await createTestApp('express5', {
    authkit: { signUp: { roles: ['member', 'billing'], defaultRole: 'member', save: true } },
    workos: {
      organizations: [{ name: 'Acme' }],
      users: [{ email: ADA, memberships: [{ organizationId: 'Acme', role: 'viewer' }] }],
    },
  });
  // WorkOS reports that this is the user's first sign-in.
  const alter = (body: Record<string, unknown>) => ({
    ...body,
    user: { ...(body['user'] as object), last_sign_in_at: null },
  });
  workos.fail({ on: 'authenticate', times: 1, alter });
  const metadata = encodeURIComponent('{"isAdmin":"true"}');
  const away = await browser.go(`${origin}/login?role=billing&metadata=${metadata}&returnTo=/account`);
  const landed = await browser.follow(await workos.authorize(away.location!, { user: ADA }));
  expect(landed.url).toBe(`${origin}/account`);
  const [session] = workos.callsTo('memberships');
  expect(session!.method).toBe('GET');
  expect(workos.callsTo('memberships').filter(({ method }) => method === 'PUT')).toEqual([]);
  expect(workos.callsTo('updateUser')).toEqual([]);
  expect(workos.users().find(({ email }) => email === ADA)!.metadata).toEqual({});
});
