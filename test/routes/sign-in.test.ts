import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { Browser, FETCH, NAVIGATION, send } from '../support/browser.js';
import { AuthKitError } from 'authkit-express';
import { FRAMEWORKS, type Handler } from '../support/frameworks.js';
import { ADA, json, createTestApp } from '../support/app.js';

const TRANSACTION = /^wos-auth-verifier-[0-9a-f]{8}$/;

describe.each(FRAMEWORKS)('sign-in on %s', (framework) => {
  test('redirects from a guarded page to AuthKit and back to that page, signed in', async () => {
    const { origin, browser, workos, served, signIn } = await createTestApp(framework);
    const away = await browser.follow(`${origin}/account?tab=1`);
    expect(away.location).toContain(`${workos.url}/user_management/authorize?`);
    expect(served()).toBe(0);
    const back = await signIn(ADA, '/account?tab=1');
    expect(back.url).toBe(`${origin}/account?tab=1`);
    expect(JSON.parse(back.body)).toMatchObject({ email: ADA });
    expect(served()).toBe(1);
  });

  test('sends PKCE with every request, and uses a transaction once', async () => {
    const { origin, browser, workos } = await createTestApp(framework);
    const away = await browser.go(`${origin}/login`);
    const asked = new URL(away.location!).searchParams;
    expect(Object.fromEntries(asked)).toMatchObject({
      response_type: 'code',
      client_id: workos.options.clientId,
      redirect_uri: `${origin}/callback`,
      provider: 'authkit',
      code_challenge_method: 'S256',
    });
    const names = await browser.cookieNames(origin);
    expect(names).toHaveLength(1);
    expect(names[0]).toMatch(TRANSACTION);
    await browser.go(await workos.authorize(away.location!, { user: ADA }));
    const [exchange] = workos.callsTo('code');
    const { code_verifier: verifier } = exchange!.body as { code_verifier: string };
    expect(createHash('sha256').update(verifier).digest('base64url')).toBe(asked.get('code_challenge'));
    expect(await browser.cookieNames(origin)).toEqual(['wos-session', 'wos-signed-in']);
    expect(away.location).not.toContain(verifier);
  });

  test('finishes in any of several tabs', async () => {
    const { origin, browser, workos } = await createTestApp(framework);
    const tabs = [];
    for (const path of ['/open?tab=1', '/open?tab=2', '/open?tab=3']) {
      tabs.push((await browser.go(`${origin}/login?returnTo=${encodeURIComponent(path)}`)).location!);
    }
    for (const tab of [2, 0, 1]) {
      const reply = await browser.go(await workos.authorize(tabs[tab]!, { user: ADA }));
      expect(reply.location).toBe(`${origin}/open?tab=${tab + 1}`);
    }
  });

  test('keeps the newest of many tabs, and the Cookie header small', async () => {
    const { origin, browser, workos } = await createTestApp(framework);
    const tabs = [];
    for (let tab = 0; tab < 30; tab += 1) {
      tabs.push((await browser.go(`${origin}/login?returnTo=/open?tab=${tab}`)).location!);
      expect((await browser.jar.getCookieString(origin)).length).toBeLessThan(8192);
    }
    expect(await browser.cookieNames(origin)).toHaveLength(5);
    const newest = await browser.go(await workos.authorize(tabs[29]!, { user: ADA }));
    expect(newest.location).toBe(`${origin}/open?tab=29`);
    const fresh = new Browser();
    const oldest = await fresh.go(await workos.authorize(tabs[0]!, { user: ADA }));
    expect(oldest.status).toBe(400);
  });

  test('a used callback exchanges no code again, by back button, reload or in another browser', async () => {
    const { origin, browser, workos } = await createTestApp(framework);
    const { location } = await browser.go(`${origin}/login?returnTo=/account`);
    const callback = await workos.authorize(location!, { user: ADA });
    expect((await browser.go(callback)).location).toBe(`${origin}/account`);
    expect((await browser.go(callback)).location).toBe(`${origin}/`);
    const stranger = await new Browser().go(callback);
    expect(stranger.status).toBe(400);
    expect(stranger.body).toContain(`${origin}/login`);
    expect(stranger.setCookies).toEqual([]);
    expect(workos.callsTo('code')).toHaveLength(1);
  });

  test('B04 simultaneous callbacks with one state share one code exchange', async () => {
    let runs = 0;
    const { origin, browser, workos } = await createTestApp(framework, {
      authkit: { onSuccess: () => void (runs += 1) },
    });
    const { location } = await browser.go(`${origin}/login?returnTo=/account`);
    const callback = await workos.authorize(location!, { user: ADA });
    const cookie = await browser.jar.getCookieString(callback);
    const replies = await Promise.all(
      [1, 2, 3].map(() => send(callback, { headers: { ...NAVIGATION, cookie } })),
    );
    for (const reply of replies) {
      expect(reply.location).toBe(`${origin}/account`);
      expect(reply.setCookies.some((line) => line.startsWith('wos-session='))).toBe(true);
    }
    expect(workos.callsTo('code')).toHaveLength(1);
    expect(runs).toBe(1);
  });

  test('a transaction can be used for one callback only, even if that failed', async () => {
    const { origin, browser, workos } = await createTestApp(framework);
    const { location } = await browser.go(`${origin}/login`);
    const callback = await workos.authorize(location!, { user: ADA });
    const cookie = await browser.jar.getCookieString(callback);
    const fault = workos.fail({ on: 'code', status: 503 });
    expect((await send(callback, { headers: { ...NAVIGATION, cookie } })).status).toBe(503);
    fault.restore();
    const again = await send(callback, { headers: { ...NAVIGATION, cookie } });
    expect(again.status).toBe(400);
    expect(again.setCookies.join()).not.toContain('wos-session');
  });

  test('T37 a code that this application did not request creates no session: the browser is sent to sign-in', async () => {
    const { origin, browser, workos } = await createTestApp(framework);
    const reply = await browser.go(`${origin}/callback?code=unasked`);
    expect({ status: reply.status, location: reply.location }).toEqual({
      status: 302,
      location: `${origin}/login`,
    });
    expect(reply.setCookies).toEqual([]);
    expect(workos.callsTo('code')).toEqual([]);
  });

  test('a denied sign-in shows a page with a link to try again, and calls onError', async () => {
    const seen: unknown[] = [];
    const { origin, browser, workos } = await createTestApp(framework, {
      authkit: { onError: ({ error }) => void seen.push(error) },
    });
    const { location } = await browser.go(`${origin}/login`);
    const callback = new URL(await workos.authorize(location!, { deny: true }));
    callback.searchParams.set('error_description', '<script>alert(1)</script>');
    const reply = await browser.go(callback.href);
    expect(reply.status).toBe(403);
    expect(reply.headers['content-type']).toBe('text/html; charset=utf-8');
    expect(reply.body).not.toContain('<script>');
    expect(reply.headers['content-security-policy']).toContain("default-src 'none'");
    expect(seen).toMatchObject([{ code: 'access_denied', description: '<script>alert(1)</script>' }]);
    expect(await browser.cookieNames(origin)).toEqual([]);
  });

  test('onSuccess can deny a sign-in, add data, choose the page and read the state', async () => {
    const seen: Record<string, unknown>[] = [];
    const decide = (result: { state: unknown; stateFrom: string | undefined; user: { email: string } }) => {
      seen.push({ state: result.state, from: result.stateFrom });
      if (result.state === 'veto') throw new AuthKitError('sign_in_rejected', 'not you');
      return { returnTo: '/data', data: { plan: 'pro' } };
    };
    const data: Handler = (req, res) => {
      json(res, (req as unknown as { auth: { data: unknown } }).auth.data);
    };
    const { origin, browser, workos } = await createTestApp(framework, {
      authkit: { onSuccess: decide },
      routes: (app, auth) => {
        app.route('/data', data);
        app.route('/start', (req, res) => {
          void auth.getSignInUrl(req, res, { state: '{"team":1}' }).then((url) => {
            res.writeHead(302, { Location: url }).end();
          });
        });
      },
    });
    const vetoed = await browser.go(`${origin}/login?state=veto`);
    const refused = await browser.go(await workos.authorize(vetoed.location!, { user: ADA }));
    expect(refused.status).toBe(403);
    expect(await browser.cookieNames(origin)).toEqual([]);
    const started = await browser.go(`${origin}/start`);
    const landed = await browser.follow(await workos.authorize(started.location!, { user: ADA }));
    expect(landed.url).toBe(`${origin}/data`);
    expect(JSON.parse(landed.body)).toEqual({ plan: 'pro' });
    expect(seen).toEqual([
      { state: 'veto', from: 'link' },
      { state: '{"team":1}', from: 'app' },
    ]);
  });

  test('only a page load starts a sign-in', async () => {
    const { origin, browser } = await createTestApp(framework);
    const requests: [string, Record<string, string>, number][] = [
      ['GET', FETCH, 400],
      ['GET', { ...NAVIGATION, 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' }, 400],
      ['GET', { accept: 'application/json' }, 400],
      ['GET', { 'x-requested-with': 'XMLHttpRequest' }, 400],
      ['GET', { ...NAVIGATION, 'sec-purpose': 'prefetch' }, 503],
      ['HEAD', NAVIGATION, 200],
    ];
    for (const [method, headers, status] of requests) {
      const reply = await send(`${origin}/login`, { method, headers });
      expect({ headers, status: reply.status }).toEqual({ headers, status });
      expect(reply.setCookies).toEqual([]);
    }
    for (const headers of [NAVIGATION, {}, { accept: '*/*' }]) {
      expect((await send(`${origin}/login`, { headers })).status).toBe(302);
    }
    expect(await browser.cookieNames(origin)).toEqual([]);
  });

  test('valid parameters of a link reach WorkOS, and never override those set in code', async () => {
    const { origin, browser } = await createTestApp(framework, {
      authkit: { signIn: { loginHint: 'pinned@example.com' } },
    });
    const ask = async (query: string) => {
      const reply = await browser.go(`${origin}/login?${query}`);
      return {
        status: reply.status,
        sent: reply.location ? Object.fromEntries(new URL(reply.location).searchParams) : {},
      };
    };
    const fine = await ask(
      'organizationId=org_1&login_hint=evil@example.com&login_hint=x&domain_hint=example.com&screen_hint=sign-up&prompt=login' +
        '&maxAge=60&invitation_token=inv_1&redirect_uri=https://evil.example&client_id=evil&code_challenge=evil&unknown=1',
    );
    expect(fine.sent).toMatchObject({
      provider: 'authkit',
      organization_id: 'org_1',
      login_hint: 'pinned@example.com',
      domain_hint: 'example.com',
      screen_hint: 'sign-up',
      prompt: 'login',
      max_age: '60',
      invitation_token: 'inv_1',
      redirect_uri: `${origin}/callback`,
    });
    expect(fine.sent['unknown']).toBeUndefined();
    for (const bad of [
      'organizationId=a&organization_id=b',
      'organizationId=org_1&organizationId=org_1',
      'prompt=sometimes',
      'maxAge=-1',
      'maxAge=1e3',
      'connectionId=conn_1&provider=GoogleOAuth',
      'connectionId=conn_1&organizationId=org_1',
      'provider=GoogleOAuth&screenHint=sign-up',
      `invitationToken=${'x'.repeat(600)}`,
      `state=${'x'.repeat(2049)}`,
    ]) {
      expect(await ask(bad), bad).toMatchObject({ status: 400, sent: {} });
    }
    expect((await ask('provider=javascript:')).status).toBe(400);
  });
});
