import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { AuthKitEvents } from 'authkit-express';
import { FETCH, NAVIGATION, send } from './support/browser.js';
import { ADA, createTestApp } from './support/app.js';

const CHANNELS = [
  'authkit:sign-in',
  'authkit:sign-in-failed',
  'authkit:refresh',
  'authkit:refresh-failed',
  'authkit:sign-out',
  'authkit:denied',
  'authkit:upstream',
] as const satisfies readonly (keyof AuthKitEvents)[];

type Told = { [N in keyof AuthKitEvents]: [name: N, facts: AuthKitEvents[N]] }[keyof AuthKitEvents];

/** Records the events published from now on, oldest first. */
function listen(): { all: Told[]; names: () => string[] } {
  const all: Told[] = [];
  const onMessage = (facts: unknown, name: string | symbol) => all.push([name, facts] as Told);
  for (const name of CHANNELS) subscribe(name, onMessage);
  onTestFinished(() => {
    for (const name of CHANNELS) unsubscribe(name, onMessage);
  });
  return { all, names: () => all.splice(0).map(([name]) => name.replace('authkit:', '')) };
}

describe('events', () => {
  test('are published for a sign-in, a denial, a refresh, an outage, the end of a session and a sign-out', async () => {
    const { origin, browser, workos, signIn } = await createTestApp('express5', {
      workos: { accessTokenLifetime: 100 },
      rule: { organization: true },
    });
    const { all, names } = listen();
    await signIn(ADA);
    const facts = Object.fromEntries(all) as unknown as AuthKitEvents;
    const who = { clientId: workos.options.clientId, userId: workos.users()[0]!.id };
    expect(facts['authkit:denied']).toEqual({
      clientId: who.clientId,
      code: 'unauthenticated',
      userId: undefined,
      method: 'GET',
      path: '/account',
    });
    expect(facts['authkit:sign-in']).toMatchObject({
      ...who,
      sessionId: expect.stringMatching(/^session_/) as string,
      organizationId: expect.stringMatching(/^org_/) as string,
      isImpersonated: false,
    });
    expect(facts['authkit:upstream']).toMatchObject({ method: 'GET', outcome: 'ok', status: 200 });
    expect(names()).toEqual(['denied', 'upstream', 'upstream', 'sign-in']);

    await browser.go(`${origin}/account`);
    expect(names(), 'a warm request tells nothing').toEqual([]);

    workos.clock.advance(101_000);
    const calls = [1, 2, 3].map(() => browser.fetch(`${origin}/account`));
    await Promise.all(calls);
    expect(names(), 'one refresh for three requests').toEqual(['upstream', 'refresh']);

    workos.clock.advance(101_000);
    const outage = workos.fail({ on: 'refresh', status: 503, headers: { 'retry-after': '9' } });
    expect((await browser.fetch(`${origin}/account`)).status).toBe(503);
    expect(all).toMatchObject([
      ['authkit:upstream', { outcome: 'status', status: 503, path: '/user_management/authenticate' }],
      ['authkit:refresh-failed', { ...who, outcome: 'unavailable', code: 'upstream_unavailable' }],
      ['authkit:denied', { code: 'upstream_unavailable', userId: undefined }],
    ]);
    outage.restore();
    workos.clock.advance(9000);
    names();

    await browser.fetch(`${origin}/account`);
    names();
    const { sessionId } = facts['authkit:sign-in'];
    await browser.go(`${origin}/logout`, { method: 'POST', headers: { 'sec-fetch-site': 'same-origin' } });
    expect(all).toMatchObject([['authkit:sign-out', { ...who, sessionId }]]);
    names();
    await browser.go(`${origin}/callback?error=access_denied`);
    expect(all).toEqual([['authkit:sign-in-failed', { clientId: who.clientId, code: 'access_denied' }]]);
    names();

    const headers = { cookie: await workos.signIn({ expiresIn: -1 }) };
    for (const { id } of workos.users()) workos.deleteUser(id);
    expect((await send(`${origin}/account`, { headers })).status).toBe(401);
    expect(all.find(([name]) => name === 'authkit:refresh-failed')?.[1]).toMatchObject({
      ...who,
      outcome: 'refused',
      code: 'unauthenticated',
    });
  });

  test('describe a denied request by user and path, without the query', async () => {
    const { origin, cookie, browser } = await createTestApp('connect', {
      rule: { permission: 'nobody:has' },
    });
    const session = await cookie({ user: ADA });
    const { all } = listen();
    const url = `${origin}/account?token=very-secret`;
    const reply = await browser.go(url, { headers: { ...NAVIGATION, cookie: session } });
    expect(reply.status).toBe(403);
    expect(all.at(-1)).toMatchObject([
      'authkit:denied',
      { code: 'forbidden', userId: expect.stringMatching(/^user_/) as string, path: '/account' },
    ]);
    expect(JSON.stringify(all)).not.toContain('very-secret');
  });

  test('contain no token, no cookie and no email address', async () => {
    const { browser, origin, workos, signIn } = await createTestApp('http');
    const { all } = listen();
    await signIn(ADA);
    workos.clock.advance(600_000);
    await browser.go(`${origin}/account`);
    const told = JSON.stringify(all);
    expect(told).toContain('authkit:refresh');
    const { value } = (await browser.jar.getCookies(origin)).find(({ key }) => key === 'wos-session')!;
    const sent = workos.calls.flatMap(({ body }) => Object.values((body ?? {}) as Record<string, string>));
    const secrets = sent.filter(
      (text) => text.length > 20 && !/^client_|^org_|grant|authorization/.test(text),
    );
    expect(secrets.length).toBeGreaterThanOrEqual(3);
    for (const secret of [...secrets, value, ADA, workos.options.apiKey]) expect(told).not.toContain(secret);
  });
});

describe('serverTiming', () => {
  test('reports the time of session and route beside the metrics of the handler', async () => {
    const { origin, browser } = await createTestApp('express4', {
      authkit: { serverTiming: true },
      routes: (app) => {
        app.route('/timed', (_req, res) => {
          res.setHeader('Server-Timing', 'db;dur=53');
          res.end();
        });
      },
    });
    const timed = await browser.fetch(`${origin}/timed`);
    expect(timed.headers['server-timing']).toMatch(/^db;dur=53, authkit-session;dur=\d+\.\d\d$/);
    const login = await browser.go(`${origin}/login`);
    expect(login.headers['server-timing']).toMatch(/^authkit-login;dur=\d+\.\d\d$/);
  });

  test('is off by default', async () => {
    const { origin, browser } = await createTestApp('express5');
    const reply = await browser.fetch(`${origin}/account`, { headers: FETCH });
    expect(reply.headers['server-timing']).toBeUndefined();
  });
});
