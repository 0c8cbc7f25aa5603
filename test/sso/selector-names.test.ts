import { describe, expect, onTestFinished, test } from 'vitest';
import { type AuthKitError, sso, type SSOOptions, type SSOSignInUrlOptions } from 'authkit-express';
import { createTestWorkOS } from 'authkit-express/testing';
import { GOOD_SSO, ssoProblemsOf } from '../config/problem-of.js';
import { NAVIGATION, send } from '../support/browser.js';
import { FRAMEWORKS, type Framework, serve } from '../support/frameworks.js';

/** An application in which every sign-in has the given options. `/sign-in` adds those of `from.code`. */
async function start(options: SSOOptions = {}, framework: Framework = 'express5') {
  const workos = await createTestWorkOS();
  onTestFinished(() => workos.close());
  const from: { code: SSOSignInUrlOptions } = { code: {} };
  const codes: string[] = [];
  const site = await serve(framework, (app, origin) => {
    const { clientId, apiKey, apiHostname, apiHttps, apiPort, cookiePassword, now } = workos.options;
    const api = { clientId, apiKey, apiHostname, apiHttps, apiPort, cookiePassword, now };
    const auth = sso({ ...api, redirectUri: `${origin}/sso/callback`, ...options });
    app.use(auth);
    app.route('/sign-in', (req, res) => {
      auth.getSignInUrl(req, res, from.code).then(
        (url) => res.writeHead(302, { Location: url }).end(),
        (error: unknown) => {
          codes.push((error as AuthKitError).message);
          res.writeHead(400).end();
        },
      );
    });
  });
  onTestFinished(() => site.close());
  const selectors = async (path: string) => {
    const { status, location } = await send(site.origin + path, { headers: NAVIGATION });
    if (location === undefined) return status;
    const { searchParams } = new URL(location);
    const names = ['organization', 'connection', 'organization_id', 'connection_id', 'organizationId'];
    return Object.fromEntries(
      names.filter((name) => searchParams.has(name)).map((name) => [name, searchParams.get(name)]),
    );
  };
  return { selectors, from, codes };
}

const ORGANIZATION = { organization: 'org_1' };
const CONNECTION = { connection: 'conn_1' };

describe.each(FRAMEWORKS)('sso() on %s', (framework) => {
  test('takes organizationId and connectionId for organization and connection', async () => {
    const { selectors, from } = await start({}, framework);
    for (const name of ['organization', 'organizationId', 'organization_id'])
      expect(await selectors(`/sso/login?${name}=org_1`), name).toEqual(ORGANIZATION);
    for (const name of ['connection', 'connectionId', 'connection_id'])
      expect(await selectors(`/sso/login?${name}=conn_1`), name).toEqual(CONNECTION);
    from.code = { organizationId: 'org_1' };
    expect(await selectors('/sign-in')).toEqual(ORGANIZATION);
    from.code = { connectionId: 'conn_1' };
    expect(await selectors('/sign-in')).toEqual(CONNECTION);
  });
});

test.each<SSOOptions['signIn'] & {}>([
  { organizationId: 'org_1' },
  () => ({ organizationId: 'org_1' }),
  () => Promise.resolve({ organization: 'org_1' }),
])('an option of signIn cannot be overridden by a link that uses another name (%#)', async (signIn) => {
  const { selectors, from } = await start({ signIn });
  for (const query of ['', '?organization=org_2', '?organizationId=org_2', '?organization_id=org_2'])
    expect(await selectors(`/sso/login${query}`), query).toEqual(ORGANIZATION);
  from.code = { organizationId: 'org_2' };
  expect(await selectors('/sign-in')).toEqual(ORGANIZATION);
});

test('both names of one option are a mistake', async () => {
  const both = { organization: 'org_1', organizationId: 'org_1' };
  expect(ssoProblemsOf({ ...GOOD_SSO, signIn: both })).toEqual([
    'signIn: organization and organizationId are two names of one option: write one of them',
  ]);
  const { selectors, from, codes } = await start();
  expect(await selectors('/sso/login?organization=org_1&organizationId=org_1')).toBe(400);
  from.code = both;
  expect(await selectors('/sign-in')).toBe(400);
  expect(codes).toEqual(['organization and organizationId are two names of one option: write one of them']);
});

test.each([
  [{ organizationId: 'org_1', connectionId: 'conn_1' }, 'exclude each other'],
  [{ organizationId: '' }, "organization must be the ID of an organization, such as 'org_123'"],
  [{ connectionId: 7 }, "connection must be the ID of a connection, such as 'conn_123'"],
])('%j is a mistake', (signIn, problem) => {
  expect(ssoProblemsOf({ ...GOOD_SSO, signIn })).toEqual([expect.stringContaining(problem)]);
});

test('a name that is undefined counts as not given', async () => {
  const { selectors, from } = await start();
  from.code = { organization: 'org_1', organizationId: undefined } as unknown as SSOSignInUrlOptions;
  expect(await selectors('/sign-in')).toEqual(ORGANIZATION);
});

test('loginParams takes either name', async () => {
  const { selectors } = await start({ loginParams: ['organizationId'] });
  expect(await selectors('/sso/login?organization=org_1')).toEqual(ORGANIZATION);
  expect(await selectors('/sso/login?organizationId=org_1')).toEqual(ORGANIZATION);
  expect(await selectors('/sso/login?connectionId=conn_1')).toBe(400);
});
