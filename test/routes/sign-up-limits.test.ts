import { describe, expect, test } from 'vitest';
import { authkit } from 'authkit-express';
import { ADA, createTestApp, type Options } from '../support/app.js';

const ACME = 'Acme';
const NEW = 'katherine@example.com';

type SignUp = NonNullable<Options['signUp']>;

/** An application that saves sign-up attributes, and a user `ada` who is already a member of Acme. */
async function saving(signUp: SignUp, role = 'viewer', getSignUpUrl?: object) {
  const at = await createTestApp('express5', {
    authkit: { signUp: { save: true, ...signUp }, routes: { signUp: '/signup' } },
    workos: {
      organizations: [{ name: ACME }],
      users: [{ email: ADA, memberships: [{ organizationId: ACME, role }] }],
    },
    routes: (app, auth) => {
      app.route('/from-code', (req, res, next) => {
        auth.getSignUpUrl(req, res, { returnTo: '/open', attributes: getSignUpUrl ?? {} }).then((url) => {
          res.writeHead(302, { Location: url }).end();
        }, next);
      });
    },
  });
  /** Reports an existing user's sign-in as the first one, as WorkOS does for a user whom an administrator created. */
  const firstSignIn = () =>
    at.workos.fail({
      on: 'authenticate',
      times: 1,
      alter: (body) => ({ ...body, user: { ...(body['user'] as object), last_sign_in_at: null } }),
    });
  const signIn = async (path: string, user = ADA) => {
    const away = await at.browser.go(at.origin + path);
    return at.browser.follow(await at.workos.authorize(away.location!, { user }));
  };
  const saved = () => ({
    role: at.workos.callsTo('memberships').filter(({ method }) => method === 'PUT')[0]?.body,
    user: at.workos.callsTo('updateUser')[0]?.body,
  });
  return { ...at, firstSignIn, signIn, saved };
}

const metadata = (value: unknown) => `metadata=${encodeURIComponent(JSON.stringify(value))}`;

describe('a role', () => {
  const roles = { roles: ['member', 'billing', 'admin'], defaultRole: 'member' };

  test.each([
    ['of a link', '/login?role=billing&returnTo=/open'],
    ['of the configuration', '/login?returnTo=/open'],
  ])('%s does not replace the role that an administrator gave before', async (_name, path) => {
    for (const given of ['viewer', 'admin', 'member']) {
      const { signIn, firstSignIn, saved } = await saving(roles, given);
      firstSignIn();
      await signIn(path);
      expect(saved()).toEqual({ role: undefined, user: undefined });
    }
  });

  test('does not replace the role that an invitation gives', async () => {
    const { workos, browser, origin, saved } = await saving(roles);
    const token = workos.invite({ email: NEW, organizationId: ACME, role: 'viewer' });
    const away = await browser.go(`${origin}/signup?role=admin&invitationToken=${token}&returnTo=/open`);
    await browser.follow(await join(away.location!));
    expect(saved()).toEqual({ role: undefined, user: undefined });
  });

  test('is saved to a membership that the sign-in created, and the refresh names the organization', async () => {
    const { workos, browser, origin, saved } = await saving(roles);
    const token = workos.invite({ email: NEW, organizationId: ACME });
    const away = await browser.go(`${origin}/signup?role=billing&invitationToken=${token}&returnTo=/open`);
    await browser.follow(await join(away.location!));
    expect(saved().role).toEqual({ role_slug: 'billing' });
    const [refresh] = workos.callsTo('refresh');
    expect(refresh!.body).toMatchObject({ organization_id: expect.stringMatching(/^org_/) as string });
  });

  test('is not saved if WorkOS answers with something else', async () => {
    for (const body of [{}, { data: [{}] }, { data: [{ id: 'om_1', created_at: 'never', role: null }] }]) {
      const { workos, browser, origin, saved } = await saving(roles);
      const token = workos.invite({ email: NEW, organizationId: ACME });
      workos.fail({ on: 'memberships', body });
      const away = await browser.go(`${origin}/signup?role=billing&invitationToken=${token}&returnTo=/open`);
      const landed = await browser.follow(await join(away.location!));
      expect(JSON.parse(landed.body)).toMatchObject({ email: NEW });
      expect(saved().role).toBeUndefined();
    }
  });
});

/** Fills in the form of the sign-up screen. */
async function join(url: string): Promise<string> {
  const reply = await fetch(new URL('/user_management/authorize/choose', url), {
    method: 'POST',
    body: new URLSearchParams({ request: new URL(url).searchParams.toString(), email: NEW }),
    redirect: 'manual',
  });
  return reply.headers.get('location')!;
}

describe('metadata', () => {
  const given = { plan: 'enterprise', isAdmin: true, team: 'a' };

  test.each<[name: string, signUp: SignUp, saved: object | undefined]>([
    ['is not saved from a link by default', {}, undefined],
    ['is saved from a link under the listed keys', { metadata: ['team', 'other'] }, { team: 'a' }],
    ['is not saved under keys that every object has', { metadata: ['toString'] }, undefined],
  ])('%s', async (_name, signUp, expected) => {
    const { signIn, firstSignIn, saved } = await saving(signUp);
    firstSignIn();
    await signIn(`/login?${metadata(given)}&returnTo=/open`);
    expect(saved().user).toEqual(expected && { metadata: expected });
  });

  test('of code is the word of the application, and saved as it is', async () => {
    const { signIn, firstSignIn, saved } = await saving({}, 'viewer', { metadata: given });
    firstSignIn();
    await signIn('/from-code');
    expect(saved().user).toEqual({ metadata: { plan: 'enterprise', isAdmin: 'true', team: 'a' } });
  });

  test('must be listed as an array of strings', () => {
    expect(() => authkit({ signUp: { metadata: 'plan' } as never })).toThrow(
      /signUp\.metadata must be a list of strings/,
    );
  });
});
