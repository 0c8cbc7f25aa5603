import { onTestFinished, test, expect } from 'vitest';
import { requireAuth, sso, type SSOOptions } from 'authkit-express';
import { createTestWorkOS } from 'authkit-express/testing';
import { Browser } from '../support/browser.js';
import { FRAMEWORKS, serve, type Framework } from '../support/frameworks.js';

const [ADA, MALLORY] = ['ada@engines.example', 'mallory@looms.example'];

/** A test WorkOS with two organizations, each with a connection and a user, and an application with `sso()`. */
async function createApp(options: SSOOptions, framework: Framework = 'express5') {
  const workos = await createTestWorkOS({
    organizations: [
      { name: 'Engines', id: 'org_engines', connections: [{ id: 'conn_engines', type: 'OktaSAML' }] },
      { name: 'Looms', id: 'org_looms', connections: [{ id: 'conn_looms', type: 'OktaSAML' }] },
    ],
    users: [
      { email: ADA, memberships: [{ organizationId: 'org_engines' }] },
      { email: MALLORY, memberships: [{ organizationId: 'org_looms' }] },
    ],
  });
  onTestFinished(() => workos.close());
  const { clientId, apiKey, apiHostname, apiHttps, apiPort, cookiePassword, now } = workos.options;
  const common = { clientId, apiKey, apiHostname, apiHttps, apiPort, cookiePassword, now };
  const site = await serve(framework, (app, origin) => {
    app.use(sso({ ...common, redirectUri: `${origin}/sso/callback`, ...options }));
    app.route('/account', requireAuth({ unauthenticated: 'respond' }), (_req, res) => res.end('in'));
  });
  onTestFinished(() => site.close());
  const { origin } = site;
  const browser = new Browser();
  const callback = async (url: string) => {
    const { status } = await browser.go(url);
    return { status, account: (await browser.fetch(`${origin}/account`)).status };
  };
  return {
    /** Signs in, after the user has changed the authorization URL. */
    signIn: async (query: string, change: Readonly<Record<string, string>>, user: string) => {
      const url = new URL((await browser.go(`${origin}/sso/login?${query}`)).location!);
      if (Object.keys(change).length > 0)
        for (const name of ['organization', 'connection', 'provider']) url.searchParams.delete(name);
      for (const [name, value] of Object.entries(change)) url.searchParams.set(name, value);
      return callback(await workos.authorize(url.href, { user }));
    },
    startAtIdentityProvider: async (connection: string, user: string) =>
      callback(workos.startAtIdentityProvider({ connection, user, redirectUri: `${origin}/sso/callback` })),
  };
}

const REJECTED = { status: 403, account: 401 };
const SIGNED_IN = { status: 302, account: 200 };

test.each(FRAMEWORKS)(
  'T61 on %s, a user who changes the connection in the authorization URL is not signed in',
  async (framework) => {
    const { signIn } = await createApp({ signIn: { organization: 'org_engines' } }, framework);
    expect(await signIn('', { connection: 'conn_looms' }, MALLORY)).toEqual(REJECTED);
    expect(await signIn('', { organization: 'org_looms' }, MALLORY)).toEqual(REJECTED);
    expect(await signIn('', { provider: 'GoogleOAuth' }, MALLORY)).toEqual(REJECTED);
    expect(await signIn('', { connection: 'conn_engines' }, ADA)).toEqual(SIGNED_IN);
  },
);

test.each([
  ['signIn: { connection }', { signIn: { connection: 'conn_engines' } }, '', {}, ADA],
  ['signIn: { provider }', { signIn: { provider: 'google' } }, '', {}, MALLORY],
  ['a connection in a link', {}, 'connection=conn_engines', {}, ADA],
  ['an organization in a link', {}, 'organization=org_engines', {}, ADA],
  ['a provider in a link', {}, 'provider=GoogleOAuth', {}, MALLORY],
] as const)(
  'T61 the profile has to come from the identity provider that the sign-in named, with %s',
  async (_, options, query, same, user) => {
    const { signIn } = await createApp(options);
    expect(await signIn(query, { connection: 'conn_looms' }, MALLORY)).toEqual(REJECTED);
    expect(await signIn(query, same, user)).toEqual(SIGNED_IN);
  },
);

test('T61 a sign-in that started at the identity provider has to come from the one that signIn names', async () => {
  const options = { signIn: { organization: 'org_engines' }, acceptIdPInitiated: true };
  const { startAtIdentityProvider } = await createApp(options);
  expect(await startAtIdentityProvider('conn_looms', MALLORY)).toEqual(REJECTED);
  expect(await startAtIdentityProvider('conn_engines', ADA)).toEqual(SIGNED_IN);
});
