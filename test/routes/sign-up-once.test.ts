import { expect, test } from 'vitest';
import { createTestApp, json } from '../support/app.js';
import { Browser } from '../support/browser.js';

const EMAIL = 'new@example.com';
const PASSWORD = 'difference-engine';

test('T51 attributes are saved at the first sign-in only, and not over what was changed since', async () => {
  const seen: boolean[] = [];
  const { origin, auth, workos } = await createTestApp('express5', {
    workos: { users: [{ email: 'ada@example.com' }], organizations: [{ id: 'org_1', name: 'Engines' }] },
    authkit: {
      signUp: { save: true, roles: ['editor'] },
      onSuccess: ({ isFirstSignIn }) => {
        seen.push(isFirstSignIn);
      },
    },
    routes: (app, kit) => {
      const signIn = async () => {
        const { userManagement, clientId } = kit.workos;
        return userManagement.authenticateWithPassword({
          clientId: clientId!,
          email: EMAIL,
          password: PASSWORD,
        });
      };
      app.route('/password', (req, res, next) => {
        signIn()
          .then((response) => kit.saveSession(req, res, response, { attributes: { role: 'editor' } }))
          .then((saved) => {
            json(res, { role: saved?.auth.role });
          }, next);
      });
    },
  });
  const { userManagement } = auth.workos;
  const user = await userManagement.createUser({ email: EMAIL, password: PASSWORD, emailVerified: true });
  const membership = await userManagement.createOrganizationMembership({
    userId: user.id,
    organizationId: 'org_1',
  });
  const post = async () =>
    JSON.parse(
      (await new Browser().fetch(`${origin}/password`, { method: 'POST', headers: { origin } })).body,
    ) as unknown;
  expect(await post()).toEqual({ role: 'editor' });
  await userManagement.updateOrganizationMembership(membership.id, { roleSlug: 'member' });
  workos.clock.advance(60_000);
  expect(await post()).toEqual({ role: 'member' });
  expect(seen).toEqual([true, false]);
});
