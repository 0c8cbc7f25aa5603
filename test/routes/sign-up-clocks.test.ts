import { expect, test } from 'vitest';
import { ADA, createTestApp } from '../support/app.js';

/** An application that saves roles, and whose clock differs from that of WorkOS by `difference` milliseconds. */
async function withClockDifference(difference: number) {
  const start = Date.now();
  let clockOfWorkOS = () => start;
  const seen: boolean[] = [];
  const app = await createTestApp('express5', {
    authkit: {
      now: () => clockOfWorkOS() + difference,
      signUp: { roles: ['member', 'billing'], save: true },
      onSuccess: ({ isFirstSignIn }) => {
        seen.push(isFirstSignIn);
      },
    },
    workos: { now: start, organizations: [{ name: 'Acme' }], users: [] },
  });
  clockOfWorkOS = app.workos.options.now;
  /** Moves both clocks. The readiness check fetches the keys, whose response shows the time of WorkOS. */
  const advance = async (milliseconds: number) => {
    app.workos.clock.advance(milliseconds);
    await app.auth.ready();
  };
  await advance(0);
  const addUser = () =>
    app.workos.putUser({ email: ADA, memberships: [{ organizationId: 'Acme', role: 'member' }] });
  const startSignIn = async () => (await app.browser.go(`${app.origin}/login?role=billing`)).location!;
  const finishSignIn = async (address: string) =>
    app.browser.go(await app.workos.authorize(address, { user: ADA }));
  const savedRoles = () => app.workos.callsTo('memberships').filter(({ method }) => method === 'PUT');
  return { ...app, advance, seen, addUser, startSignIn, finishSignIn, savedRoles };
}

const CLOCKS: [string, number][] = [
  ['ahead of', 120_000],
  ['behind', -120_000],
];

test.each(CLOCKS)(
  'T63 a link does not replace the role of a membership from before the sign-in, if the clock is two minutes %s that of WorkOS',
  async (_, difference) => {
    const { advance, workos, addUser, startSignIn, finishSignIn, savedRoles } =
      await withClockDifference(difference);
    addUser();
    await advance(60_000);
    // WorkOS reports that this is the user's first sign-in.
    const alter = (body: Record<string, unknown>) => ({
      ...body,
      user: { ...(body['user'] as object), last_sign_in_at: null },
    });
    workos.fail({ on: 'authenticate', times: 1, alter });
    await finishSignIn(await startSignIn());
    expect(savedRoles()).toEqual([]);
  },
);

test.each(CLOCKS)(
  'a user who is created during a sign-in signs in for the first time, if the clock is two minutes %s that of WorkOS',
  async (_, difference) => {
    const { advance, seen, addUser, startSignIn, finishSignIn, savedRoles } =
      await withClockDifference(difference);
    const address = await startSignIn();
    await advance(30_000);
    addUser();
    await advance(1000);
    await finishSignIn(address);
    expect([seen, savedRoles().length]).toEqual([[true], 1]);
    await advance(60_000);
    await finishSignIn(await startSignIn());
    expect([seen, savedRoles().length]).toEqual([[true, false], 1]);
  },
);
