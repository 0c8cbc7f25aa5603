import { describe, expect, test } from 'vitest';
import { FRAMEWORKS } from '../support/frameworks.js';
import { FETCH, NAVIGATION, send } from '../support/browser.js';
import { ADA, createTestApp } from '../support/app.js';

const authkit = { routes: { connect: '/connect' } };
/** A click on one of the application's links. */
const CLICK = { headers: { 'sec-fetch-site': 'same-origin' } };

describe.each(FRAMEWORKS)('linking an account on %s', (framework) => {
  test('redirects a signed-in user to WorkOS Pipes and back', async () => {
    const { origin, browser, workos, signIn } = await createTestApp(framework, { authkit });
    await signIn();
    const away = await browser.go(`${origin}/connect/github?returnTo=/open?tab=1`, CLICK);
    expect(away.location).toContain(`${workos.url}/data-integrations/`);
    const back = await browser.go(away.location!);
    expect(back.location).toBe(`${origin}/open?tab=1`);
    expect(workos.linkedBy(ADA)).toEqual(['github']);
    const [call] = workos.callsTo('pipes');
    const [user] = workos.users().filter(({ email }) => email === ADA);
    expect(call!.body).toEqual({
      user_id: user!.id,
      organization_id: expect.stringMatching(/^org_/) as string,
      return_to: `${origin}/open?tab=1`,
    });
  });

  test('a signed-out user signs in first, and then returns to where the link was', async () => {
    const { origin, browser, workos } = await createTestApp(framework, { authkit });
    const away = await browser.follow(`${origin}/connect/github?returnTo=/open`);
    expect(away.location).toContain('/user_management/authorize');
    const callback = await workos.authorize(away.location!, { user: ADA });
    const landed = await browser.go(callback, { headers: { 'sec-fetch-site': 'cross-site' } });
    expect(landed.location).toBe(`${origin}/open`);
    const page = await browser.go(`${origin}/connect/github?returnTo=/open`, {
      headers: { 'sec-fetch-site': 'cross-site' },
    });
    expect(page.status).toBe(200);
    expect(page.body).toContain('href="/connect/github?returnTo=%2Fopen"');
    expect(workos.callsTo('pipes')).toEqual([]);
    expect((await send(`${origin}/connect/github`, { headers: FETCH })).status).toBe(401);
  });

  test('another site, a script, a prefetch or a HEAD request cannot start it', async () => {
    const { origin, cookie, workos } = await createTestApp(framework, { authkit });
    const session = await cookie();
    const ask = (headers: Record<string, string>, method = 'GET') =>
      send(`${origin}/connect/github?returnTo=https://evil.example`, {
        method,
        headers: { ...NAVIGATION, ...headers, cookie: session },
      });
    const foreign = await ask({ 'sec-fetch-site': 'cross-site' });
    expect(foreign.status).toBe(200);
    expect(foreign.body).not.toContain('evil');
    expect((await ask({ 'sec-fetch-site': 'same-site' })).status).toBe(200);
    expect((await ask({ 'sec-fetch-mode': 'cors' })).status).toBe(400);
    expect((await ask({ 'sec-purpose': 'prefetch' })).status).toBe(503);
    expect((await ask({}, 'HEAD')).status).toBe(200);
    expect(workos.callsTo('pipes')).toEqual([]);
    await ask({ 'sec-fetch-site': 'same-origin' });
    expect(workos.callsTo('pipes')[0]!.body).toMatchObject({ return_to: `${origin}/` });
  });

  test('an unknown provider is invalid_provider, and an outage is 503', async () => {
    const { origin, cookie, workos } = await createTestApp(framework, { authkit });
    const headers = { accept: 'text/plain', cookie: await cookie() };
    const ask = async (slug: string) => {
      const reply = await send(`${origin}/connect/${slug}`, { headers });
      return { status: reply.status, error: (JSON.parse(reply.body) as { error: string }).error };
    };
    for (const slug of ['spotify', '%zz', 'a.b', '__proto__', 'x'.repeat(65)])
      expect(await ask(slug), slug).toEqual({ status: 400, error: 'invalid_provider' });
    expect(workos.callsTo('pipes').map(({ path }) => path)).toEqual([
      '/data-integrations/spotify/authorize',
      '/data-integrations/__proto__/authorize',
    ]);
    for (const status of [500, 401, 429]) {
      workos.fail({ on: 'pipes', status, times: 1 });
      expect(await ask('github')).toEqual({ status: 503, error: 'upstream_unavailable' });
    }
    for (const url of ['javascript:alert(1)', 7]) {
      workos.fail({ on: 'pipes', body: { url }, times: 1 });
      expect(await ask('github')).toEqual({ status: 503, error: 'upstream_unavailable' });
    }
  });
});

test('the route does not exist unless it is configured', async () => {
  const { origin, cookie } = await createTestApp('express5');
  expect((await send(`${origin}/connect/github`, { headers: { cookie: await cookie() } })).status).toBe(404);
});
