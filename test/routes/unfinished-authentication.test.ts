import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { AuthKitError } from 'authkit-express';
import { FRAMEWORKS } from '../support/frameworks.js';
import { FETCH, NAVIGATION, send } from '../support/browser.js';
import { ADA, json, createTestApp, type TestAppOptions } from '../support/app.js';

const ENGINES = 'Analytical Engines';

/** Signs in with an OAuth provider, and records errors. */
async function direct(framework: (typeof FRAMEWORKS)[number], options: TestAppOptions = {}) {
  const errors: AuthKitError[] = [];
  const seen: unknown[] = [];
  const at = await createTestApp(framework, {
    ...options,
    authkit: {
      onError: ({ error }) => void errors.push(error),
      onSuccess: ({ state, stateFrom, organizationId }) =>
        void seen.push({ state, stateFrom, organizationId }),
      ...options.authkit,
    },
  });
  const { origin, browser, workos } = at;
  const callback = async (path = '/login/google?returnTo=/open&state=mine') => {
    const { location } = await browser.go(origin + path);
    return browser.go(await workos.authorize(location!, { user: ADA, organizationId: null }));
  };
  const sent = (location: string | undefined) => Object.fromEntries(new URL(location!).searchParams);
  const finish = async (location: string | undefined) =>
    browser.go(await workos.authorize(location!, { user: ADA }));
  return { ...at, errors, seen, callback, sent, finish };
}

describe.each(FRAMEWORKS)('an authentication that WorkOS did not finish, on %s', (framework) => {
  test.each(['sso_required', 'organization_authentication_methods_required'] as const)(
    '%s continues with the required connection, and keeps returnTo, state and attributes',
    async (code) => {
      const { callback, sent, finish, workos, origin, seen, errors } = await direct(framework);
      workos.requireStep({ code, user: ADA });
      const away = await callback();
      expect(sent(away.location)).toMatchObject({
        connection_id: expect.stringMatching(/^conn_/) as string,
      });
      const back = await finish(away.location);
      expect(back.location).toBe(`${origin}/open`);
      expect(seen).toEqual([
        { state: 'mine', stateFrom: 'link', organizationId: expect.stringMatching(/^org_/) as string },
      ]);
      expect(errors).toEqual([]);
    },
  );

  test('organization_selection_required continues with the organization if there is only one', async () => {
    const { callback, sent, finish, workos, origin, browser } = await direct(framework);
    workos.requireStep({ code: 'organization_selection_required', user: ADA });
    const away = await callback();
    expect(sent(away.location)).toMatchObject({
      provider: 'authkit',
      organization_id: expect.stringMatching(/^org_/) as string,
    });
    expect((await finish(away.location)).location).toBe(`${origin}/open`);
    expect(await browser.cookieNames(origin)).toEqual(['wos-session', 'wos-signed-in']);
  });

  test('with several organizations or connections, AuthKit lets the user choose', async () => {
    const { callback, sent, workos } = await direct(framework);
    const organizations = [{ id: 'org_1' }, { id: 'org_2' }];
    workos.fail({
      on: 'code',
      status: 403,
      times: 1,
      body: { code: 'organization_selection_required', organizations },
    });
    const chosen = sent((await callback()).location);
    expect(chosen).toMatchObject({ provider: 'authkit' });
    expect(chosen).not.toHaveProperty('organization_id');
    const body = { error: 'sso_required', email: ADA, connection_ids: ['conn_1', 'conn_2'] };
    workos.fail({ on: 'code', status: 403, times: 1, body });
    expect(sent((await callback()).location)).toMatchObject({ provider: 'authkit', login_hint: ADA });
  });

  test('the redirect to the required step publishes no failed sign-in, and a second error publishes one', async () => {
    const { callback, finish, workos } = await direct(framework);
    const failed: unknown[] = [];
    const listen = (message: unknown) => failed.push((message as { code: string }).code);
    subscribe('authkit:sign-in-failed', listen);
    onTestFinished(() => void unsubscribe('authkit:sign-in-failed', listen));
    workos.requireStep({ code: 'sso_required', user: ADA });
    const away = await callback();
    expect(failed).toEqual([]);
    workos.fail({
      on: 'code',
      status: 403,
      times: 1,
      body: { error: 'sso_required', connection_ids: ['c'] },
    });
    expect((await finish(away.location)).status).toBe(403);
    expect(failed).toEqual(['sso_required']);
  });

  test('the second time is an error with the details WorkOS sent, not a redirect loop', async () => {
    const { callback, finish, workos, errors, browser, origin } = await direct(framework);
    workos.fail({
      on: 'code',
      status: 403,
      body: { error: 'sso_required', connection_ids: ['conn_1'], email: ADA },
    });
    const reply = await finish((await callback()).location);
    expect(reply.status).toBe(403);
    expect(reply.body).toContain('One more step is needed');
    expect(reply.body).not.toContain('conn_1');
    expect(errors).toMatchObject([{ code: 'sso_required' }]);
    expect(errors[0]!.details).toMatchObject({ connection_ids: ['conn_1'] });
    expect(await browser.cookieNames(origin)).toEqual([]);
  });

  test.each(['email_verification_required', 'mfa_enrollment', 'mfa_challenge'] as const)(
    '%s is passed to onError, without secrets on the page or in the printed error',
    async (code) => {
      const { callback, workos, errors } = await direct(framework);
      workos.requireStep({ code, user: ADA });
      const reply = await callback();
      expect(reply.status).toBe(403);
      const { pending_authentication_token: pending } = errors[0]!.details as Record<string, string>;
      expect(errors[0]!.code).toBe(code);
      expect(pending!.length).toBeGreaterThan(5);
      expect(reply.body + JSON.stringify(errors[0])).not.toContain(pending);
    },
  );

  test('hostile details from WorkOS do not redirect to another site', async () => {
    const { callback, workos } = await direct(framework);
    for (const body of [
      { error: 'sso_required', connection_ids: ['conn 1\r\nx'] },
      { error: 'sso_required', email: 'a\nb', connection_ids: [] },
      { code: 'organization_selection_required', organizations: [{ id: '../evil' }] },
      { error: 'sso_required', connection_ids: { 0: 'x' } },
      { code: 'organization_selection_required', organizations: [null, 7, { id: {} }] },
      { code: 'organization_selection_required', organizations: 'all' },
    ]) {
      workos.fail({ on: 'code', status: 403, times: 1, body });
      expect((await callback()).status).toBe(403);
    }
  });

  test('at a refresh, sign-in continues with the organization or connection of the session', async () => {
    const { origin, browser, workos, signIn, sent, finish } = await direct(framework);
    await signIn();
    const first = workos.requireStep({ code: 'organization_selection_required', user: ADA });
    workos.clock.advance(600_000);
    const away = await browser.follow(`${origin}/account?tab=1`);
    expect(sent(away.location)).toMatchObject({
      organization_id: expect.stringMatching(/^org_/) as string,
    });
    expect((await finish(away.location)).location).toBe(`${origin}/account?tab=1`);
    first.restore();
    workos.requireStep({ code: 'sso_required', organizationId: ENGINES });
    workos.clock.advance(600_000);
    const again = await browser.follow(`${origin}/account`);
    expect(sent(again.location)).toMatchObject({
      connection_id: expect.stringMatching(/^conn_/) as string,
    });
    expect((await finish(again.location)).location).toBe(`${origin}/account`);
  });

  test('at a switch, the user signs in to the other organization once', async () => {
    const { origin, browser, workos, signIn, sent, finish } = await direct(framework, {
      routes: (app, auth) => {
        app.route('/switch', (req, res, next) => {
          const id = new URL(req.url!, 'http://a').searchParams.get('to')!;
          auth.switchToOrganization(req, res, id).then((now) => {
            if (now) json(res, { now: now.organizationId });
          }, next);
        });
      },
      workos: {
        organizations: [
          { name: 'A', id: 'org_a' },
          { name: 'B', id: 'org_b' },
        ],
        users: [{ email: ADA, memberships: [{ organizationId: 'A' }, { organizationId: 'B' }] }],
      },
    });
    await signIn();
    const step = workos.requireStep({ code: 'mfa_enrollment', organizationId: 'B', on: 'refresh' });
    const away = await browser.go(`${origin}/switch?to=org_b`);
    expect(away.status).toBe(303);
    expect(sent(away.location)).toMatchObject({ organization_id: 'org_b' });
    const back = await finish(away.location);
    expect(back.location).toBe(`${origin}/switch?to=org_b`);
    // If WorkOS requires a further step right after this sign-in, that is an error, not a third attempt.
    expect((await browser.go(back.location!)).status).toBe(403);
    step.restore();
    workos.clock.advance(61_000);
    const done = await browser.go(`${origin}/switch?to=org_b`);
    expect(JSON.parse(done.body)).toEqual({ now: 'org_b' });
    workos.requireStep({ code: 'sso_required', organizationId: 'A', on: 'refresh' });
    expect((await browser.fetch(`${origin}/switch?to=org_a`, { headers: FETCH })).status).toBe(403);
    expect((await browser.go(`${origin}/account`)).status).toBe(200);
  });
});

test('an unfinished authentication is an error with the details WorkOS sent, none of which are on the page', async () => {
  const seen: { code: string; details: unknown }[] = [];
  const { origin, browser, workos } = await createTestApp('express5', {
    authkit: { onError: ({ error }) => void seen.push(error) },
  });
  workos.requireStep({ user: ADA, code: 'mfa_enrollment' });
  const login = await browser.go(`${origin}/login`);
  const reply = await browser.go(await workos.authorize(login.location!, { user: ADA }));
  expect(reply.status).toBe(403);
  const [error] = seen;
  expect(error!.code).toBe('mfa_enrollment');
  const { pending_authentication_token: pending } = error!.details as {
    pending_authentication_token: string;
  };
  expect(pending.length).toBeGreaterThan(5);
  expect(reply.body + JSON.stringify(error)).not.toContain(pending);
  expect((await send(`${origin}/callback?code=x`, { headers: NAVIGATION })).status).toBe(302);
});
