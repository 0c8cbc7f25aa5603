import { describe, expect, test } from 'vitest';
import { createTestApp } from '../support/app.js';
import { NAVIGATION, send } from '../support/browser.js';
import { FRAMEWORKS } from '../support/frameworks.js';

const SCOPES = ['https://www.googleapis.com/auth/calendar', 'openid'];
const encoded = SCOPES.map(encodeURIComponent) as [string, string];

describe.each(FRAMEWORKS)('the scopes of a provider on %s', (framework) => {
  test('may be repeated, or listed in one value, under any of their names', async () => {
    const { origin, workos, browser } = await createTestApp(framework, {
      routes: (site, auth) => {
        site.route('/code', (req, res, next) => {
          auth.getSignInUrl(req, res, { provider: 'google', providerScopes: SCOPES }).then((url) => {
            res.writeHead(302, { Location: url }).end();
          }, next);
        });
      },
    });
    const [first, second] = encoded;
    const queries = [
      `provider_scopes=${first}&provider_scopes=${second}`,
      `providerScopes=${first}&providerScopes=${second}`,
      `providerScopes=${first}&provider_scopes=${second}`,
      `provider_scopes[]=${first}&provider_scopes[]=${second}`,
      `provider_scopes=${first}%20${second}`,
      `provider_scopes=${first},${second}`,
      `provider_scopes=${first}&provider_scopes=&provider_scopes=${second}`,
    ];
    for (const path of ['/code', ...queries.map((query) => `/login/google?${query}`)]) {
      const { location } = await send(origin + path, { headers: NAVIGATION });
      expect(new URL(location!).searchParams.getAll('provider_scopes'), path).toEqual(SCOPES);
    }
    const away = await browser.follow(`${origin}/login/google?returnTo=/open&${queries[0]!}`);
    const back = await browser.follow(await workos.authorize(away.location!));
    expect(back.status).toBe(200);
  });
});

test('a malformed scope is refused, and so are too many', async () => {
  const { origin } = await createTestApp('express5');
  const status = async (query: string) =>
    (await send(`${origin}/login/google?${query}`, { headers: NAVIGATION })).status;
  expect(await status('provider_scopes=a&provider_scopes=%22b%22')).toBe(400);
  expect(await status(Array(51).fill('provider_scopes=a').join('&'))).toBe(400);
  expect(await status(Array(50).fill('provider_scopes=a').join('&'))).toBe(302);
  expect(await status('provider_scopes=')).toBe(302);
});

test('nothing else may be repeated', async () => {
  const { origin } = await createTestApp('express5');
  const reply = await send(`${origin}/login?loginHint=a@b.c&login_hint=a@b.c`, { headers: NAVIGATION });
  expect(reply.status).toBe(400);
});
