import { onTestFinished } from 'vitest';
import { requireAuth, sso, type Auth, type GuardRule, type SSO, type SSOOptions } from 'authkit-express';
import { createTestWorkOS } from 'authkit-express/testing';
import { serve, type App, type Framework } from '../support/frameworks.js';
import { Browser } from '../support/browser.js';
import { ADA, json } from '../support/app.js';

export const pinned = { signIn: { organization: 'org_engines' } };

interface Setup {
  options?: SSOOptions;
  rule?: GuardRule;
  routes?: (app: App, single: SSO) => void;
}

/** A test WorkOS with an organization that has an SSO connection. */
export async function createSSOWorkOS() {
  const workos = await createTestWorkOS({
    organizations: [
      {
        name: 'Analytical Engines',
        id: 'org_engines',
        connections: [{ id: 'conn_engines', type: 'OktaSAML' }],
      },
    ],
    users: [{ email: ADA, memberships: [{ organizationId: 'Analytical Engines', role: 'admin' }] }],
  });
  onTestFinished(() => workos.close());
  return workos;
}

/** An application with sso(), whose guarded `/account` responds with the enumerable part of `req.auth`. */
export async function startSSO(
  workos: Awaited<ReturnType<typeof createSSOWorkOS>>,
  framework: Framework,
  { options, rule, routes }: Setup = {},
) {
  const { clientId, apiKey, apiHostname, apiHttps, apiPort, cookiePassword, now } = workos.options;
  const common = { clientId, apiKey, apiHostname, apiHttps, apiPort, cookiePassword, now };
  let single!: SSO;
  const site = await serve(framework, (app, origin) => {
    single = sso({ ...common, redirectUri: `${origin}/sso/callback`, ...pinned, ...options });
    app.use(single);
    app.route('/account', rule ? requireAuth(rule) : requireAuth(), (req, res) => {
      const { auth } = req as unknown as { auth: Auth };
      json(res, { ...auth, names: Reflect.ownKeys(auth).map(String) });
    });
    routes?.(app, single);
  });
  onTestFinished(() => site.close());
  const { origin } = site;
  const signIn = async (browser = new Browser(), query = 'returnTo=/account') => {
    const away = await browser.go(`${origin}/sso/login?${query}`);
    const reply = await browser.follow(await workos.authorize(away.location!, { user: ADA }));
    return { browser, reply, cookie: await browser.jar.getCookieString(origin) };
  };
  return { site, origin, single, signIn };
}
