import { expect, test } from 'vitest';
import { FETCH, send } from '../support/browser.js';
import { ADA, createTestApp } from '../support/app.js';

const LATER = 600_000;

/** A user with so many permissions that the session has to be split into chunks. */
const withPermissions = (count: number) => ({
  organizations: [{ id: 'org_1', name: 'One' }],
  users: [
    {
      email: ADA,
      memberships: [
        {
          organizationId: 'org_1',
          permissions: Array.from({ length: count }, (_, index) => `resource-${index}:read`),
        },
      ],
    },
  ],
});

test('H05 each chunk has a Set-Cookie header of its own', async () => {
  const { signIn, browser, origin } = await createTestApp('express5', { workos: withPermissions(120) });
  expect((await signIn()).status).toBe(200);
  expect(await browser.cookieNames(origin)).toEqual(
    expect.arrayContaining(['wos-session.0', 'wos-session.1']),
  );
});

test('K01 a growing session is stored in one cookie, then in chunks, and is an error if it is too large', async () => {
  const seen = new Set<number>();
  for (const count of [0, 60, 120, 200, 500]) {
    const { signIn, browser, origin } = await createTestApp('express5', { workos: withPermissions(count) });
    const landed = await signIn();
    const names = await browser.cookieNames(origin);
    seen.add(names.length);
    if (count < 500) expect({ count, status: landed.status }).toEqual({ count, status: 200 });
    else expect({ status: landed.status, names }).toEqual({ status: 500, names: [] });
    for (const { length } of (await browser.jar.getCookieString(origin)).split('; '))
      expect(length).toBeLessThanOrEqual(4096);
  }
  expect(seen.size).toBeGreaterThan(2);
});

test('K02 no chunk of an earlier session is left when a session shrinks or grows', async () => {
  const organizations = [{ id: 'org_1', name: 'One' }];
  const { signIn, browser, origin, workos } = await createTestApp('express5', {
    workos: withPermissions(120),
  });
  await signIn();
  for (const count of [1, 200, 0, 120]) {
    const permissions = Array.from({ length: count }, (_, index) => `resource-${index}:read`);
    workos.putUser({ email: ADA, memberships: [{ organizationId: organizations[0]!.id, permissions }] });
    workos.clock.advance(LATER);
    expect((await browser.go(`${origin}/account`)).status).toBe(200);
    expect((await browser.go(`${origin}/account`)).setCookies).toEqual([]);
    expect((await browser.cookieNames(origin)).includes('wos-session')).toBe(count < 2);
  }
});

test('K03 the number of chunks is limited, and .10 is not read as part of .1', async () => {
  const { origin, cookie } = await createTestApp('express5');
  const value = (await cookie()).split('=')[1]!;
  const third = Math.ceil(value.length / 3);
  const chunk = (index: number) => value.slice(index * third, (index + 1) * third);
  const ask = async (header: string) =>
    (await send(`${origin}/account`, { headers: { ...FETCH, cookie: header } })).status;
  expect(
    await ask(
      `wos-session.10=x; wos-session.2=${chunk(2)}; wos-session.0=${chunk(0)}; wos-session.1=${chunk(1)}`,
    ),
  ).toBe(200);
  const tiny = Array.from(value, (char, index) => `wos-session.${index}=${char}`).join('; ');
  expect(await ask(tiny.slice(0, 12_000))).toBe(401);
});
