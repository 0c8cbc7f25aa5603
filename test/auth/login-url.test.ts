import { describe, expect, test } from 'vitest';
import { requireAuth } from 'authkit-express';
import { FRAMEWORKS } from '../support/frameworks.js';
import { FETCH, NAVIGATION, send } from '../support/browser.js';
import { ADA, createTestApp } from '../support/app.js';

const LATER = 600_000;

function loginUrlIn(body: string): string {
  return (JSON.parse(body) as { loginUrl: string }).loginUrl;
}

describe.each(FRAMEWORKS)('loginUrl in a 401, on %s', (framework) => {
  test('asks for the step-up that the route needs, and one sign-in is enough', async () => {
    const { origin, browser, signIn, workos } = await createTestApp(framework, {
      routes: (app) => {
        app.route('/transfer', requireAuth({ maxAge: 60 }), (_req, res) => res.end('done'));
      },
    });
    await signIn();
    workos.clock.advance(120_000);
    const refused = await browser.fetch(`${origin}/transfer`);
    expect(refused.status).toBe(401);
    expect(JSON.parse(refused.body)).toMatchObject({
      error: 'step_up_required',
      loginUrl: '/login?maxAge=60',
    });
    await signIn(ADA, loginUrlIn(refused.body));
    expect((await browser.fetch(`${origin}/transfer`)).status).toBe(200);
  });

  test('names the connection that WorkOS requires, or the organization, as the redirect of a page does', async () => {
    const { origin, cookie, workos } = await createTestApp(framework);
    const session = await cookie({ user: ADA, organizationId: 'org_a' });
    workos.clock.advance(LATER);
    const parametersAfter = async (body: object) => {
      workos.fail({ on: 'refresh', status: 403, body });
      const [script, page] = [
        await send(`${origin}/account`, { headers: { ...FETCH, cookie: session } }),
        await send(`${origin}/account`, { headers: { ...NAVIGATION, cookie: session } }),
      ];
      workos.recover();
      expect(script.status).toBe(401);
      const parameters = new URL(page.location!).searchParams;
      expect(parameters.get('returnTo')).toBe('/account');
      parameters.delete('returnTo');
      expect(loginUrlIn(script.body)).toBe(`/login?${parameters.toString()}`);
      return Object.fromEntries(parameters);
    };
    const sso = { error: 'sso_required', error_description: 'SSO', email: ADA };
    expect(await parametersAfter({ ...sso, connection_ids: ['conn_a'] })).toEqual({ connectionId: 'conn_a' });
  });

  test('is absolute for a page of another origin', async () => {
    const { origin } = await createTestApp(framework);
    const ask = async (more: Record<string, string>) =>
      loginUrlIn((await send(`${origin}/account`, { headers: { ...FETCH, ...more } })).body);
    expect(await ask({})).toBe('/login');
    expect(await ask({ origin })).toBe('/login');
    expect(await ask({ origin: 'https://spa.example.com', 'sec-fetch-site': 'cross-site' })).toBe(
      `${origin}/login`,
    );
    expect(await ask({ origin: 'null' })).toBe(`${origin}/login`);
  });
});
