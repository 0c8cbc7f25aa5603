import { MemoryStore } from 'express-session';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { expressStore, type ActiveSession } from 'authkit-express';
import { FETCH, send } from '../support/browser.js';
import { ADA, json, createTestApp, type TestAppOptions } from '../support/app.js';

/** Longer than it may take a different process to find out, in milliseconds. */
const LEARNED = 600;

/** An application with a store, and a list of the user's sessions at `/devices`. */
const withDevices = (): TestAppOptions => ({
  authkit: { store: expressStore(new MemoryStore()) },
  routes: (app, auth) => {
    app.route('/devices', (req, res, next) => {
      auth.listSessions(req).then((list) => {
        json(res, list);
      }, next);
    });
  },
});

const ask = async (origin: string, cookie: string) =>
  (await send(`${origin}/account`, { headers: { ...FETCH, cookie } })).status;

test('a user can list their sessions and end one of them in every process', async () => {
  const one = await createTestApp('express5', withDevices());
  const two = await one.sibling();
  const cookies = await Promise.all([ADA, ADA, ADA, 'grace@example.com'].map((user) => one.cookie({ user })));
  const [mine, phone, , grace] = cookies as [string, string, string, string];
  const devices = async (cookie: string) =>
    JSON.parse(
      (await send(`${one.origin}/devices`, { headers: { ...FETCH, cookie } })).body,
    ) as ActiveSession[];
  const list = await devices(mine);
  expect(list).toHaveLength(3);
  expect(list.filter(({ isCurrent }) => isCurrent)).toHaveLength(1);
  const ofPhone = (await devices(phone)).find(({ isCurrent }) => isCurrent)!;
  expect(await ask(two.origin, phone)).toBe(200);
  await one.auth.revokeSession(ofPhone.id);
  expect(await ask(one.origin, phone)).toBe(401);
  expect((await devices(mine)).map(({ id }) => id)).not.toContain(ofPhone.id);
  await wait(LEARNED);
  expect(await ask(two.origin, phone)).toBe(401);
  for (const cookie of [mine, grace]) expect(await ask(two.origin, cookie)).toBe(200);
  expect(one.workos.callsTo('revokeSession')).toHaveLength(1);

  const adaId = one.workos.users().find(({ email }) => email === ADA)!.id;
  // Start of a second, so that the sign-in below happens within the same second.
  one.workos.clock.advance(1000 - (one.workos.clock.now() % 1000));
  await one.auth.revokeUserSessions(adaId);
  await wait(LEARNED);
  for (const { origin } of [one, two]) {
    expect(await ask(origin, mine)).toBe(401);
    expect(await ask(origin, grace)).toBe(200);
  }
  // A user who signs in again is signed in, even in the same second.
  expect(await ask(two.origin, await one.cookie({ user: ADA }))).toBe(200);
  const anonymous = await send(`${one.origin}/devices`, { headers: FETCH });
  expect(anonymous.status).toBe(401);
});

test.each(['cookie', 'store'] as const)(
  'sessions whose tokens are of the same second end too, and a later sign-in of that second is accepted (%s)',
  async (session) => {
    const store = expressStore(new MemoryStore());
    const site = await createTestApp('express5', { ...withDevices(), authkit: { store, session } });
    const other = await site.sibling({ store, session });
    const { workos, auth } = site;
    const adaId = workos.users().find(({ email }) => email === ADA)!.id;
    const ask = async ({ origin }: { origin: string }, cookie: string) =>
      (await send(`${origin}/account`, { headers: { ...FETCH, cookie } })).status;
    workos.clock.advance(1500 - (workos.clock.now() % 1000));
    const mine = await site.cookie({ user: ADA });
    for (const at of [site, other]) expect(await ask(at, mine)).toBe(200);
    await auth.revokeUserSessions(adaId);
    const { browser, signIn } = site;
    expect((await signIn(ADA)).status).toBe(200);
    await wait(LEARNED);
    for (const at of [site, other]) {
      expect(await ask(at, mine)).toBe(401);
      expect(await ask(at, await browser.jar.getCookieString(site.origin))).toBe(200);
    }
  },
);

test("sessions on several pages of WorkOS's list are all listed, and revoking an unknown session succeeds", async () => {
  const site = await createTestApp('express5', withDevices());
  for (let i = 0; i < 105; i += 1) await site.cookie({ user: ADA });
  const cookie = await site.cookie({ user: ADA });
  const reply = await send(`${site.origin}/devices`, { headers: { ...FETCH, cookie } });
  expect(JSON.parse(reply.body)).toHaveLength(106);
  await site.auth.revokeSession('session_unknown');
  await expect(site.auth.revokeSession('')).rejects.toMatchObject({ code: 'invalid_request' });
  site.workos.fail({ on: 'revokeSession', status: 500 });
  await expect(site.auth.revokeSession('session_x')).rejects.toMatchObject({ code: 'upstream_unavailable' });
  site.workos.fail({ on: 'sessions', status: 500 });
  await expect(site.auth.revokeUserSessions('user_x')).rejects.toMatchObject({
    code: 'upstream_unavailable',
  });
});

test.each(['revoked', 'expired'])('a session that WorkOS lists as %s is not listed', async (status) => {
  const { origin, cookie, workos } = await createTestApp('express5', withDevices());
  const [mine] = [await cookie({ user: ADA }), await cookie({ user: ADA, userAgent: 'Another browser' })];
  workos.fail({
    on: 'sessions',
    alter: ({ data, ...list }) => ({
      ...list,
      data: (data as { user_agent: string | null }[]).map((session) =>
        session.user_agent === null ? session : { ...session, status },
      ),
    }),
  });
  const reply = await send(`${origin}/devices`, { headers: { ...FETCH, cookie: mine } });
  expect(JSON.parse(reply.body)).toMatchObject([{ isCurrent: true, userAgent: null }]);
  workos.recover();
  const all = await send(`${origin}/devices`, { headers: { ...FETCH, cookie: mine } });
  expect(JSON.parse(all.body)).toHaveLength(2);
});

test('sessions that have ended or expired are not listed', async () => {
  const { origin, browser, signIn, workos } = await createTestApp('express5', {
    routes: (app, auth) => {
      app.route('/devices', (req, res, next) => {
        auth.listSessions(req).then((list) => {
          json(res, list);
        }, next);
      });
    },
  });
  await signIn();
  workos.fail({
    on: 'sessions',
    alter: (body) => {
      const [active] = body['data'] as object[];
      const others = ['revoked', 'expired', 'ended'].map((status) => ({
        ...active,
        id: `session_${status}`,
        status,
      }));
      return { ...body, data: [...others, active] };
    },
  });
  const list = JSON.parse((await browser.fetch(`${origin}/devices`)).body) as ActiveSession[];
  expect(list).toHaveLength(1);
  expect(list[0]).toMatchObject({ isCurrent: true });
});
