import { describe, expect, test } from 'vitest';
import type { SignInResult, SignUpAttributes } from 'authkit-express';
import { FRAMEWORKS, type Framework } from '../support/frameworks.js';
import { send, type Browser } from '../support/browser.js';
import { ADA, createTestApp, type Options } from '../support/app.js';

const NEW = 'katherine@example.com';

/** Fills in the form of the sign-up screen as a new user. */
async function fillIn(url: string, email: string): Promise<string> {
  const answer = await fetch(new URL('/user_management/authorize/choose', url), {
    method: 'POST',
    body: new URLSearchParams({ request: new URL(url).searchParams.toString(), email }),
    redirect: 'manual',
  });
  return answer.headers.get('location')!;
}

type Seen = Pick<SignInResult, 'attributes' | 'attributesFrom' | 'isFirstSignIn'>;

async function joining(framework: Framework, authkit: Options = {}) {
  const seen: Seen[] = [];
  const at = await createTestApp(framework, {
    authkit: {
      routes: { signUp: '/signup' },
      ...authkit,
      onSuccess: ({ attributes, attributesFrom, isFirstSignIn }) =>
        void seen.push({ attributes, attributesFrom, isFirstSignIn }),
    },
  });
  const join = async (query: string, email = NEW, by: Browser = at.browser) => {
    const away = await by.go(`${at.origin}/signup?${query}`);
    return by.follow(await fillIn(away.location!, email));
  };
  return { ...at, seen, join };
}

const metadata = (value: unknown) => `metadata=${encodeURIComponent(JSON.stringify(value))}`;

describe.each(FRAMEWORKS)('sign-up on %s', (framework) => {
  test('sign-up attributes reach onSuccess, marked as given by the user or by the application', async () => {
    const { join, seen, browser, origin, workos } = await joining(framework, {
      signUp: { roles: ['editor', 'member'], defaultRole: 'member' },
    });
    await join(
      `displayName=${encodeURIComponent("Katherine J. O'Hara-✓")}&locale=en&${metadata({ a: [1], b: 'x' })}&role=editor`,
    );
    const away = await browser.go(`${origin}/login`);
    await browser.go(await workos.authorize(away.location!, { user: NEW }));
    expect(seen).toEqual([
      {
        attributes: {
          displayName: "Katherine J. O'Hara-✓",
          locale: 'en',
          metadata: { a: [1], b: 'x' },
          role: 'editor',
        },
        attributesFrom: 'link',
        isFirstSignIn: true,
      },
      { attributes: { role: 'member' }, attributesFrom: undefined, isFirstSignIn: false },
    ]);
    expect(workos.callsTo('updateUser')).toEqual([]);
  });

  test('malformed attributes are rejected, and a role has to be a listed one', async () => {
    const { origin, workos } = await joining(framework, { signUp: { roles: ['editor'] } });
    const many = Object.fromEntries(Array.from({ length: 51 }, (_, index) => [`k${index}`, '']));
    const bad = [
      `displayName=${'x'.repeat(33)}`,
      `displayName=${encodeURIComponent('<script>')}%0a`,
      'displayName=a%00b',
      'displayName=a&display_name=b',
      'locale=e',
      'locale=english!',
      'locale=en&locale=de',
      'metadata={',
      'metadata=[]',
      'metadata=1',
      metadata({ ['k'.repeat(41)]: 1 }),
      metadata({ k: 'x'.repeat(601) }),
      metadata(many),
      'role=admin',
      'role=Editor',
      'role=__proto__',
    ];
    for (const query of bad) {
      for (const path of ['/signup', '/login']) {
        const reply = await send(`${origin}${path}?${query}`);
        expect({ query, status: reply.status, cookies: reply.setCookies }).toEqual({
          query,
          status: 400,
          cookies: [],
        });
        const [name] = query.split('=', 1);
        expect(JSON.parse(reply.body)).toMatchObject({
          error: 'invalid_request',
          message: expect.stringMatching(`^${name} (?:must be .{10}|is repeated)`) as string,
        });
      }
    }
    expect(workos.calls).toEqual([]);
  });
});

describe('saving sign-up attributes', () => {
  const signUp = { roles: ['admin', 'member'], defaultRole: 'member', save: true };

  test('updates the user at the first sign-in only', async () => {
    const keys = { ...signUp, metadata: ['plan', 'n'] };
    const { join, workos, browser, origin } = await joining('express5', { signUp: keys });
    const landed = await join(
      `displayName=Katherine+Johnson&locale=en&${metadata({ plan: 'pro', n: 1 })}&returnTo=/open`,
    );
    expect(JSON.parse(landed.body)).toMatchObject({ email: NEW });
    const user = () => workos.users().find(({ email }) => email === NEW)!;
    expect(user()).toMatchObject({ firstName: 'Katherine', locale: 'en', metadata: { plan: 'pro', n: '1' } });
    const away = await browser.go(`${origin}/login?displayName=Somebody+Else`);
    await browser.go(await workos.authorize(away.location!, { user: NEW }));
    expect(user().firstName).toBe('Katherine');
    expect(workos.callsTo('updateUser')).toHaveLength(1);
  });

  test('updates the role of an invited membership, and the first page has it', async () => {
    const { origin, browser, workos } = await joining('express5', { signUp });
    const token = workos.invite({ email: NEW, organizationId: 'Analytical Engines' });
    const away = await browser.go(`${origin}/signup?role=admin&invitationToken=${token}&returnTo=/account`);
    const url = new URL(away.location!);
    expect(url.searchParams.get('invitation_token')).toBe(token);
    const callback = await fillIn(url.href, NEW);
    const landed = await browser.follow(callback);
    expect(landed.url).toBe(`${origin}/account`);
    const session = workos.callsTo('memberships');
    expect(session.map(({ method }) => method)).toEqual(['GET', 'PUT']);
    expect(session[1]!.body).toEqual({ role_slug: 'admin' });
    expect(workos.callsTo('refresh')).toHaveLength(1);
    const again = await browser.go(`${origin}/signup?invitationToken=${token}`);
    await expect(workos.authorize(again.location!, { user: NEW })).rejects.toThrow();
  });

  test('an outage loses the attributes, but not the sign-in', async () => {
    const { join, workos } = await joining('express5', { signUp });
    workos.fail({ on: 'updateUser', status: 503 });
    workos.fail({ on: 'memberships', reset: true });
    const landed = await join('displayName=Katherine&returnTo=/open');
    expect(JSON.parse(landed.body)).toMatchObject({ email: NEW });
  });
});

test('an invitation adds the invited user to its organization', async () => {
  const { origin, browser, workos } = await createTestApp('express5');
  const token = workos.invite({
    email: 'alan@example.com',
    organizationId: 'Analytical Engines',
    role: 'editor',
  });
  const away = await browser.go(`${origin}/login?invitation_token=${token}&returnTo=/open`);
  await expect(workos.authorize(away.location!, { user: ADA })).rejects.toThrow('alan@example.com');
  const back = await browser.go(await workos.authorize(away.location!, { user: 'alan@example.com' }));
  expect(back.location).toBe(`${origin}/open`);
  const foreign = await browser.go(`${origin}/login?invitationToken=unknown`);
  const refused = await fetch(foreign.location!, { redirect: 'manual' });
  expect((await browser.go(refused.headers.get('location')!)).status).toBe(400);
});

test('attributes from code are validated too', async () => {
  const outcomes: unknown[] = [];
  const tried: SignUpAttributes[] = [
    { displayName: 'x'.repeat(33) },
    { locale: '' },
    { metadata: { when: new Date() } },
    { role: 'admin' },
    { unknown: 1 } as SignUpAttributes,
  ];
  const { origin } = await createTestApp('express5', {
    routes: (app, auth) => {
      app.route('/try', (req, res) => {
        const all = tried.map((attributes) =>
          auth.getSignUpUrl(req, res, { attributes }).then(
            () => 'fine',
            (error: unknown) => (error as { code: string }).code,
          ),
        );
        void Promise.all(all).then((codes) => {
          outcomes.push(...codes);
          res.end();
        });
      });
    },
  });
  await send(`${origin}/try`);
  expect(outcomes).toEqual(tried.map(() => 'invalid_request'));
});
