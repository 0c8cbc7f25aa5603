import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { authkit, requireAuth } from 'authkit-express';
import type { TestWorkOS } from 'authkit-express/testing';
import { ADA, createTestApp, whoami } from '../support/app.js';
import { FETCH, NAVIGATION, send } from '../support/browser.js';
import { messagesOn } from '../support/events.js';
import { serve } from '../support/frameworks.js';

const GRACE = 'grace@example.com';
const OUTAGE = { on: 'refresh', status: 503 } as const;

/** An application with two instances, `one` and `two`, each with a WorkOS of its own. */
async function createTenants() {
  const [one, two] = [await createTestApp('express5'), await createTestApp('express5')];
  /** The requests that the guard let pass. */
  const handled: unknown[] = [];
  const site = await serve('express5', (app, origin) => {
    for (const [name, { workos }] of Object.entries({ one, two })) {
      const auth = authkit({
        ...workos.options,
        redirectUri: `${origin}/${name}/callback`,
        cookie: { name },
      });
      app.use(`/${name}`, auth);
      app.use(auth.session);
    }
    app.route('/account', requireAuth(), (req, res, next) => {
      handled.push(req.url);
      whoami(req, res, next);
    });
  });
  onTestFinished(() => site.close());
  /** The cookie of a session whose access token has expired. */
  const expired = async (name: 'one' | 'two', user: string, workos: TestWorkOS) => {
    const cookie = await workos.signIn({ user, expiresIn: -1 });
    return cookie.replace('wos-session', name);
  };
  const cookies = {
    one: await expired('one', GRACE, one.workos),
    two: await expired('two', ADA, two.workos),
  };
  const ask = (cookie: string, headers: Record<string, string> = FETCH) =>
    send(`${site.origin}/account`, { headers: { ...headers, cookie } });
  return { one: one.workos, two: two.workos, cookies, ask, handled, origin: site.origin };
}

describe('a guard of several instances', () => {
  let tenants!: Awaited<ReturnType<typeof createTenants>>;
  beforeEach(async () => {
    tenants = await createTenants();
  });

  test('waits for the session of each instance, also if it takes longer than a public page waits', async () => {
    const { two, cookies, ask } = tenants;
    two.fail({ on: 'refresh', delay: 1300, times: 1 });
    const reply = await ask(cookies.two);
    expect([reply.status, JSON.parse(reply.body)]).toMatchObject([200, { email: ADA }]);
  });

  test('responds with 503 and keeps the cookie if one instance cannot refresh its session, not with a sign-in at another', async () => {
    const { two, cookies, ask, handled } = tenants;
    two.fail(OUTAGE);
    const seen = messagesOn('authkit:denied');
    for (const headers of [NAVIGATION, FETCH]) {
      const { status, location, setCookies } = await ask(cookies.two, headers);
      expect({ status, location, setCookies }).toEqual({ status: 503, location: undefined, setCookies: [] });
    }
    expect(handled).toEqual([]);
    expect(seen.map(({ clientId, code }) => [clientId, code])).toEqual([
      [two.options.clientId, 'upstream_unavailable'],
      [two.options.clientId, 'upstream_unavailable'],
    ]);
  });

  test('accepts the session of another instance while the first is unavailable', async () => {
    const { one, cookies, ask } = tenants;
    one.fail(OUTAGE);
    const reply = await ask(`${cookies.one}; ${cookies.two}`);
    expect([reply.status, JSON.parse(reply.body)]).toMatchObject([200, { email: ADA }]);
  });

  test('redirects to the sign-in of the first if no session could be valid', async () => {
    const { two, cookies, ask, handled, origin } = tenants;
    two.fail({ on: 'refresh', status: 400, body: { error: 'invalid_grant' } });
    const reply = await ask(cookies.two, NAVIGATION);
    expect(reply.location).toBe(`${origin}/one/login?returnTo=%2Faccount`);
    expect(handled).toEqual([]);
  });
});
