import { expect, test } from 'vitest';
import { createTestApp } from '../support/app.js';
import { FETCH, send } from '../support/browser.js';

const SECRET = 'whsec_of_this_test';
const GRACE = 'grace@example.com';

/** An application whose clock differs from that of WorkOS by `difference` milliseconds, and an administrator. */
async function withClockDifference(difference: number) {
  const start = Date.now();
  let clockOfWorkOS = () => start;
  const site = await createTestApp('express5', {
    authkit: { now: () => clockOfWorkOS() + difference },
    workos: {
      now: start,
      webhookSecret: SECRET,
      organizations: [{ id: 'org_acme', name: 'Acme' }],
      users: [{ email: GRACE, memberships: [{ organizationId: 'Acme', role: 'admin' }] }],
    },
    mount: (app, auth) => {
      app.use('/hook', auth.webhooks({ secret: SECRET }));
      app.use(auth);
    },
    rule: { role: 'admin' },
  });
  const { workos, origin } = site;
  clockOfWorkOS = workos.options.now;
  let cookie = await site.cookie({ user: GRACE });
  /** Sends a request, as a browser does: with the newest cookie. */
  const ask = async () => {
    const reply = await send(`${origin}/account`, { headers: { ...FETCH, cookie } });
    cookie = reply.setCookies[0]?.split(';', 1)[0] ?? cookie;
    return reply.status;
  };
  const change = async (role: string) => {
    const { id } = workos.putUser({ email: GRACE, memberships: [{ organizationId: 'Acme', role }] });
    const { body, headers } = workos.webhook('organization_membership.updated', { id: 'om_1', user_id: id });
    const reply = await send(`${origin}/hook`, { method: 'POST', headers: { ...headers }, body });
    expect(reply.status).toBe(200);
    return id;
  };
  expect(await ask()).toBe(200);
  return { ...site, ask, change };
}

test.each([
  ['ahead of', 120_000],
  ['behind', -120_000],
])(
  'T63 a removed role is lost, and one refresh is enough, if the clock is two minutes %s that of WorkOS',
  async (_, difference) => {
    const { workos, ask, change } = await withClockDifference(difference);
    workos.clock.advance(2000);
    await change('member');
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
