import { onTestFinished, expect, test } from 'vitest';
import { authkit, requireAuth } from 'authkit-express';
import { createRefresh } from '../../src/session/refresh.js';
import { sessionEnded } from '../../src/session/refresh-at-workos.js';
import { toSession } from '../../src/session/sealed-session.js';
import { serve } from '../support/frameworks.js';
import { FETCH, NAVIGATION, send, type Reply } from '../support/browser.js';
import { ADA, json, whoami, createTestApp, type TestApp } from '../support/app.js';

const LATER = 600_000;

const session = (reply: Reply) =>
  reply.setCookies.find((line) => /^wos-session=[^;]/.test(line))?.split(';', 1)[0];

const at = (origin: string, cookie: string, path = '/account') =>
  send(origin + path, { headers: { ...FETCH, cookie } });

/** A second process of the same application. */
async function secondProcess({ workos, origin }: TestApp): Promise<string> {
  const site = await serve('express5', (app) => {
    app.use(authkit({ ...workos.options, redirectUri: `${origin}/callback` }));
    app.route('/account', requireAuth(), whoami);
  });
  onTestFinished(() => site.close());
  return site.origin;
}

async function reached(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

test('F02 requests with the old cookie up to a minute later are served without another refresh', async () => {
  const { origin, cookie, workos } = await createTestApp('express5', { workos: { replayWindow: 0 } });
  const old = await cookie();
  workos.clock.advance(LATER);
  for (const pause of [0, 1, 999, 29_000, 29_000]) {
    workos.clock.advance(pause);
    expect((await at(origin, old)).status).toBe(200);
  }
  expect(workos.callsTo('refresh')).toHaveLength(1);
});

test('F03 two processes that refresh at the same moment both succeed', async () => {
  const one = await createTestApp('express5');
  const other = await secondProcess(one);
  const old = await one.cookie();
  one.workos.clock.advance(LATER);
  const replies = await Promise.all([at(one.origin, old), at(other, old)]);
  expect(replies.map(({ status }) => status)).toEqual([200, 200]);
  for (const reply of replies) expect((await at(one.origin, session(reply)!)).status).toBe(200);
});

test('F04 another process with the old cookie 31 seconds later asks to sign in, once', async () => {
  const one = await createTestApp('express5');
  const other = await secondProcess(one);
  const old = await one.cookie();
  one.workos.clock.advance(LATER);
  expect((await at(one.origin, old)).status).toBe(200);
  one.workos.clock.advance(31_000);
  const late = await send(`${other}/account`, { headers: { ...NAVIGATION, cookie: old } });
  expect(late.status).toBe(302);
  expect(late.setCookies[0]).toMatch(/^wos-session=; Max-Age=0/);
});

test('T14 F05 300 interleaved requests of 30 users are each answered for the user who sent them', async () => {
  const users = Array.from({ length: 30 }, (_, index) => ({ email: `person${index}@example.com` }));
  const { origin, cookie, workos } = await createTestApp('express5', { workos: { users, replayWindow: 0 } });
  const cookies = await Promise.all(users.map(({ email }) => cookie({ user: email })));
  workos.clock.advance(LATER);
  for (let index = 0; index < 15; index += 1)
    workos.fail({ on: 'refresh', delay: (index * 37) % 60, times: 1 });
  await Promise.all(
    Array.from({ length: 300 }, async (_, index) => {
      const who = (index * 11) % 30;
      expect(JSON.parse((await at(origin, cookies[who]!)).body)).toMatchObject({ email: users[who]!.email });
    }),
  );
  expect(workos.callsTo('refresh')).toHaveLength(30);
});

test('F06 a simultaneous organization switch and refresh run one after the other, each with its organization', async () => {
  const organizations = [
    { id: 'org_1', name: 'One' },
    { id: 'org_2', name: 'Two' },
  ];
  const memberships = organizations.map(({ id }) => ({ organizationId: id }));
  const { origin, cookie } = await createTestApp('express5', {
    workos: { organizations, users: [{ email: ADA, memberships }], replayWindow: 0 },
    routes: (app, auth) => {
      const tell = (organizationId: string | undefined) => ({ organizationId });
      app.route('/switch', (req, res, next) => {
        auth.switchToOrganization(req, res, 'org_2').then((now) => {
          json(res, tell(now?.organizationId));
        }, next);
      });
      app.route('/refresh', (req, res, next) => {
        auth.refreshSession(req, res).then((now) => {
          json(res, tell(now.organizationId));
        }, next);
      });
    },
  });
  const old = await cookie({ user: ADA, organizationId: 'org_1' });
  const [switched, refreshed] = await Promise.all([at(origin, old, '/switch'), at(origin, old, '/refresh')]);
  expect(JSON.parse(switched.body)).toEqual({ organizationId: 'org_2' });
  expect(JSON.parse(refreshed.body)).toEqual({ organizationId: 'org_1' });
  for (const reply of [switched, refreshed]) expect((await at(origin, session(reply)!)).status).toBe(200);
});

test('F09 if headers are already sent, no refresh is started, because its cookie could not be set', async () => {
  const { origin, cookie, workos } = await createTestApp('express5', {
    mount: (app, auth) => {
      app.use('/late', (req, res) => {
        res.writeHead(200).write('early');
        auth.session(req, res, () => res.end('done'));
      });
      app.use(auth);
    },
  });
  const old = await cookie();
  workos.clock.advance(LATER);
  expect((await at(origin, old, '/late')).body).toBe('earlydone');
  expect(workos.callsTo('refresh')).toEqual([]);
  expect((await at(origin, old)).status).toBe(200);
});

test('F10 a refresh that finishes after sign-out with another session id does not restore the session either', async () => {
  const { origin, cookie, workos } = await createTestApp('express5');
  const old = await cookie({ user: ADA });
  workos.clock.advance(LATER);
  const other = await workos.accessToken({ user: ADA, claims: { sid: 'session_other' } });
  workos.fail({
    on: 'refresh',
    delay: 100,
    times: 1,
    alter: (body) => ({ ...body, access_token: other }),
  });
  const late = at(origin, old);
  await reached(() => workos.callsTo('refresh').length > 0);
  await send(`${origin}/logout`, { method: 'POST', headers: { cookie: old } });
  expect(session(await late)).toBeUndefined();
  expect((await at(origin, old)).status).toBe(401);
});

test('F10 after signing out of a session refreshed under another id, the older cookie is rejected', async () => {
  const { origin, cookie, workos } = await createTestApp('express5');
  const old = await cookie({ user: ADA });
  workos.clock.advance(LATER);
  const other = await workos.accessToken({ user: ADA, claims: { sid: 'session_other' } });
  workos.fail({ on: 'refresh', times: 1, alter: (body) => ({ ...body, access_token: other }) });
  const renewed = session(await at(origin, old))!;
  expect((await at(origin, renewed)).status).toBe(200);
  await send(`${origin}/logout`, { method: 'POST', headers: { cookie: renewed } });
  const late = await at(origin, old);
  expect([late.status, session(late)]).toEqual([401, undefined]);
});

test('F12 the number of remembered refreshes is limited, and the oldest are removed first', async () => {
  let calls = 0;
  const { run } = createRefresh({
    clientId: 'client_1',
    refreshTokens: () => {
      calls += 1;
      return Promise.resolve(sessionEnded());
    },
    now: () => 0,
  });
  const of = (index: number) =>
    toSession({ accessToken: 'a', refreshToken: `rt_${index}`, user: { id: 'u' } as never }, {});
  for (let index = 0; index < 12_000; index += 1) await run(of(index), undefined);
  expect(calls).toBe(12_000);
  await run(of(11_999), undefined);
  expect(calls).toBe(12_000);
  await run(of(0), undefined);
  expect(calls).toBe(12_001);
});

test('F13 a server that closes during a refresh still answers the request', async () => {
  const { origin, cookie, workos, site } = await createTestApp('express5');
  const old = await cookie();
  workos.clock.advance(LATER);
  workos.fail({ on: 'refresh', delay: 100, times: 1 });
  const pending = at(origin, old);
  await reached(() => workos.callsTo('refresh').length > 0);
  site.server.close();
  const reply = await pending;
  expect(reply.status).toBe(200);
  expect(session(reply)).toBeDefined();
});
