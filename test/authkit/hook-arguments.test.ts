import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ADA, createTestApp, type TestApp } from '../support/app.js';
import { ROOT } from '../support/documentation.js';
import { FRAMEWORKS } from '../support/frameworks.js';

const page = readFileSync(join(ROOT, 'docs/hooks.md'), 'utf8');

/** The properties in the table that follows a sentence of docs/hooks.md. */
function documented(hook: string): string[] {
  const table = page.split(`\`${hook}\` receives an object with these properties:`)[1]!.split('\n\n')[1]!;
  const cells = table.split('\n').map((line) => line.split('|')[1] ?? '');
  return cells.flatMap((cell) => [...cell.matchAll(/`(\w+)`/g)].map(([, name = '']) => name)).sort();
}

const flash = (message: string) => `flash=${message}; Path=/; HttpOnly; SameSite=Lax`;

/** Goes through a sign-in that ends in an error response. */
async function failSignIn({ browser, origin, workos }: TestApp) {
  const { location } = await browser.follow(`${origin}/account`);
  return browser.go(await workos.authorize(location!, { user: ADA }));
}

describe.each(FRAMEWORKS)('arguments of hooks on %s', (framework) => {
  test('onSuccess receives what docs/hooks.md lists, and a cookie that it sets arrives with the session', async () => {
    const received: object[] = [];
    const app = await createTestApp(framework, {
      authkit: {
        onSuccess: (result) => {
          received.push(result);
          result.res.appendHeader('Set-Cookie', flash('Welcome'));
        },
      },
    });
    await app.signIn();
    expect(received.map((result) => Object.keys(result).sort())).toEqual([documented('onSuccess')]);
    expect(await app.browser.cookie(app.origin, 'flash')).toBe('Welcome');
    expect((await app.browser.fetch(`${app.origin}/account`)).status).toBe(200);
  });

  test('onError receives what docs/hooks.md lists, and can answer with a cookie and a redirect', async () => {
    const received: object[] = [];
    const app = await createTestApp(framework, {
      authkit: {
        onSuccess: () => ({ reject: 'the account is closed' }),
        onError: (context) => {
          received.push(context);
          context.res.appendHeader('Set-Cookie', flash('Closed'));
          context.res.writeHead(302, { Location: '/open' }).end();
        },
      },
    });
    const refused = await failSignIn(app);
    expect(refused).toMatchObject({ status: 302, location: `${app.origin}/open` });
    expect(received.map((context) => Object.keys(context).sort())).toEqual([documented('onError')]);
    expect(await app.browser.cookie(app.origin, 'flash')).toBe('Closed');
    expect(await app.browser.cookieNames(app.origin)).not.toContain('wos-session');
  });
});

test('a new user can be added to the one organization of an app at the first sign-in', async () => {
  const app = await createTestApp('express5', {
    workos: { users: [{ email: ADA }], organizations: [{ name: 'Everyone' }] },
    authkit: {
      async onSuccess({ user, organizationId }) {
        if (organizationId !== undefined) return undefined;
        const { organizations, userManagement } = app.auth.workos;
        const [everyone] = (await organizations.listOrganizations()).data;
        await userManagement.createOrganizationMembership({
          userId: user.id,
          organizationId: everyone!.id,
          roleSlug: 'member',
        });
        return { returnTo: `/welcome?to=${everyone!.id}` };
      },
    },
    rule: { role: 'member' },
    routes: (site, auth) => {
      site.route('/welcome', (req, res) => {
        const to = new URL(req.url ?? '', 'http://localhost').searchParams.get('to') ?? '';
        return auth.switchToOrganization(req, res, to).then(() => res.end('Welcome'));
      });
    },
  });
  const welcome = await app.signIn();
  expect(welcome).toMatchObject({ status: 200, body: 'Welcome' });
  expect((await app.browser.fetch(`${app.origin}/account`)).status).toBe(200);
});
