import { expect, test } from 'vitest';
import { createAdministratorApp, GRACE, removeRole } from '../support/administrator.js';
import { FETCH, send } from '../support/browser.js';

/** An application whose clock differs from that of WorkOS by `difference` milliseconds, and an administrator. */
async function withClockDifference(difference: number) {
  const start = Date.now();
  let clockOfWorkOS = () => start;
  const site = await createAdministratorApp({ now: () => clockOfWorkOS() + difference }, { now: start });
  const { workos, origin } = site;
  clockOfWorkOS = workos.options.now;
  let cookie = await site.cookie({ user: GRACE });
  /** Sends a request, as a browser does: with the newest cookie. */
  const ask = async () => {
    const reply = await send(`${origin}/account`, { headers: { ...FETCH, cookie } });
    cookie = reply.setCookies[0]?.split(';', 1)[0] ?? cookie;
    return reply.status;
  };
  expect(await ask()).toBe(200);
  return { ...site, ask };
}

test.each([
  ['ahead of', 120_000],
  ['behind', -120_000],
])(
  'T63 a removed role is lost, and one refresh is enough, if the clock is two minutes %s that of WorkOS',
  async (_, difference) => {
    const site = await withClockDifference(difference);
    const { workos, ask } = site;
    await removeRole(site);
    workos.clock.advance(1000);
    const statuses: number[] = [];
    for (let request = 0; request < 5; request += 1) statuses.push(await ask());
    expect(statuses).toEqual([403, 403, 403, 403, 403]);
    expect(workos.callsTo('refresh')).toHaveLength(1);
  },
);

test.each([
  ['ahead of', 120_000],
  ['behind', -120_000],
])(
  'T63 a user whose sessions were ended can sign in again, if the clock is two minutes %s that of WorkOS',
  async (_, difference) => {
    const { workos, auth, origin, ask } = await withClockDifference(difference);
    workos.clock.advance(2000);
    const { id } = workos.putUser({ email: GRACE });
    await auth.revokeUserSessions(id);
    expect(await ask()).toBe(401);
    workos.clock.advance(2000);
    const cookie = await workos.signIn({ user: GRACE });
    expect((await send(`${origin}/account`, { headers: { ...FETCH, cookie } })).status).toBe(200);
  },
);

test.each([
  ['ahead of', 240_000],
  ['behind', -240_000],
])(
  'T63 a webhook is not taken for an old one, so a removed role is lost, if the clock is four minutes %s that of WorkOS',
  async (_, difference) => {
    const site = await withClockDifference(difference);
    await removeRole(site);
    expect(await site.ask()).toBe(403);
    // By the clock of WorkOS, a webhook is accepted for three minutes.
    const { workos, auth, origin } = site;
    const { body, headers } = workos.webhook('user.updated', { id: 'user_1' });
    workos.clock.advance(181_000);
    await auth.ready();
    const late = await send(`${origin}/hook`, { method: 'POST', headers: { ...headers }, body });
    expect(late.status).toBe(400);
  },
);
