import { createEmulator, type Emulator } from 'workos/emulate';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { authkit, requireAuth } from 'authkit-express';
import { FRAMEWORKS, serve, type Site } from './support/apps.js';
import { Browser } from './support/browser.js';
import { whoami } from './support/world.js';

// WorkOS's own emulator: something that nobody here wrote. Where it and `authkit-express/testing` differ:
// - It approves every authorization request at once; the test WorkOS shows a page, as AuthKit does.
// - It gives a new `sid` at every refresh; WorkOS keeps the session's id, as the test WorkOS does.
// - It has no replay window: a rotated refresh token is refused at once. WorkOS documents 30 s, as the test WorkOS has.
// - Its errors are `{ message, code }`; WorkOS answers this endpoint as RFC 6749 has it, as the test WorkOS does.
// - It has one key and never rotates it.

const HOUR = 3_600_000;

describe('the main job against workos/emulate', () => {
  let emulator: Emulator;
  beforeAll(async () => {
    emulator = await createEmulator({
      port: 0,
      seed: {
        users: [
          { email: 'ada@example.com', first_name: 'Ada', email_verified: true, password: 'difference' },
        ],
      },
    });
  });
  afterAll(() => emulator.close());

  test.each(FRAMEWORKS)('on %s: sign-in, guard, refresh, sign-out', async (framework) => {
    let ahead = 0;
    const site: Site = await serve(framework, (app, origin) => {
      const redirectUri = `${origin.replace('127.0.0.1', 'localhost')}/callback`;
      const auth = authkit({
        clientId: 'client_emulated',
        apiKey: emulator.apiKey,
        cookiePassword: 'correct-horse-battery-staple-0123456789',
        redirectUri,
        apiHostname: 'localhost',
        apiHttps: false,
        apiPort: emulator.port,
        now: () => Date.now() + ahead,
      });
      app.use(auth);
      app.route('/account', requireAuth(), whoami);
    });
    const origin = site.origin.replace('127.0.0.1', 'localhost');
    const browser = new Browser();

    const away = await browser.follow(`${origin}/account`);
    const approved = await browser.go(away.location!);
    const back = await browser.follow(approved.location!);
    expect(back.url).toBe(`${origin}/account`);
    expect(JSON.parse(back.body)).toMatchObject({ email: 'ada@example.com' });

    const old = await browser.cookie(origin, 'wos-session');
    ahead = HOUR - 30_000;
    expect((await browser.go(`${origin}/account`)).status).toBe(200);
    expect(await browser.cookie(origin, 'wos-session')).not.toBe(old);

    const out = await browser.go(`${origin}/logout`, {
      method: 'POST',
      headers: { 'sec-fetch-site': 'same-origin' },
    });
    expect(out.status).toBe(200);
    expect(out.body).toContain(`${emulator.url}/user_management/sessions/logout?session_id=session_`);
    const again = await browser.go(`${origin}/account`);
    expect(again.location).toBe(`${origin}/login?returnTo=%2Faccount`);
    await site.close();
  });
});
