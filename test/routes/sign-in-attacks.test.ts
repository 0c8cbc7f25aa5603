import { expect, test } from 'vitest';
import { fingerprint } from '../../src/http/cookies.js';
import { ADA, createTestApp } from '../support/app.js';
import { FETCH, NAVIGATION, send, type Reply } from '../support/browser.js';

const isSession = (line: string) => /^wos-session(?:\.\d+)?=[^;]/.test(line);

/** The Cookie header that an empty browser would send after this response. */
const cookiesOf = ({ setCookies }: Reply) => setCookies.map((line) => line.split(';', 1)[0]).join('; ');

test('T41 a planted transaction gives its beginner nothing when the victim finishes it', async () => {
  const { origin, workos } = await createTestApp('express5', {
    authkit: { redirectUri: 'https://app.example.com/callback' },
  });
  const begun = await send(`${origin}/login`, { headers: NAVIGATION });
  const { pathname, search, searchParams } = new URL(await workos.authorize(begun.location!, { user: ADA }));
  const ask = (path: string, cookie: string) => send(origin + path, { headers: { ...NAVIGATION, cookie } });
  // A different host on the domain can set cookies, but not with a __Host- name.
  const victim = await ask(pathname + search, cookiesOf(begun).replace('__Host-', ''));
  expect([victim.status, victim.setCookies.filter(isSession)]).toEqual([400, []]);
  // With the prefix, the same request signs in, so the missing prefix was the reason.
  expect((await ask(pathname + search, cookiesOf(begun))).setCookies.filter(isSession)).toHaveLength(1);
  const state = encodeURIComponent(searchParams.get('state')!);
  const collected = await ask(`${pathname}?code=anything&state=${state}`, cookiesOf(begun));
  expect([collected.status, collected.setCookies.filter(isSession)]).toEqual([400, []]);
});

test('T42 a callback URL creates no session without the cookie, whether it was used or not', async () => {
  const { origin, workos } = await createTestApp('express5');
  const begun = await send(`${origin}/login`, { headers: NAVIGATION });
  const callback = await workos.authorize(begun.location!, { user: ADA });
  const state = new URL(callback).searchParams.get('state')!;
  const cookie = `wos-auth-verifier-${fingerprint(state)}=${state}`;
  const steal = async () => {
    const reply = await send(callback, { headers: { ...NAVIGATION, cookie } });
    expect([reply.status, reply.setCookies.filter(isSession)]).toEqual([400, []]);
  };
  await steal();
  const own = await send(callback, { headers: { ...NAVIGATION, cookie: cookiesOf(begun) } });
  expect(own.setCookies.filter(isSession)).toHaveLength(1);
  await steal();
});

test('T53 a retry of a sign-in that began on another site waits for a click, wherever WorkOS is', async () => {
  const { origin, workos } = await createTestApp('express5', { authkit: { cookie: { sameSite: 'strict' } } });
  for (const [site, goesOn] of [
    ['cross-site', false],
    ['same-origin', true],
  ] as const) {
    const step = workos.requireStep({ code: 'sso_required', user: ADA });
    const headers = { ...NAVIGATION, 'sec-fetch-site': site };
    const begun = await send(`${origin}/login?returnTo=/open`, { headers });
    // With a custom authentication domain, AuthKit is at a host of this site.
    const back = { ...NAVIGATION, 'sec-fetch-site': 'same-site' };
    const asAda = { user: ADA };
    const callback = await workos.authorize(begun.location!, asAda);
    const retry = await send(callback, { headers: { ...back, cookie: cookiesOf(begun) } });
    expect(retry.location).toContain('connection_id=');
    const again = await workos.authorize(retry.location!, asAda);
    const landed = await send(again, { headers: { ...back, cookie: cookiesOf(retry) } });
    expect([landed.status, landed.body.includes('http-equiv="refresh"')]).toEqual([200, goesOn]);
    step.restore();
  }
});

test('T12 with strict cookies, the retry of a sign-in also ends the session that the browser had', async () => {
  const { origin, workos, cookie } = await createTestApp('express5', {
    authkit: { cookie: { sameSite: 'strict' } },
  });
  const old = await cookie({ user: ADA });
  const step = workos.requireStep({ code: 'sso_required', user: ADA });
  const begun = await send(`${origin}/login`, { headers: { ...NAVIGATION, cookie: old } });
  const finish = async (reply: Reply) =>
    send(await workos.authorize(reply.location!, { user: ADA }), {
      headers: { ...NAVIGATION, cookie: cookiesOf(reply) },
    });
  const account = { headers: { ...FETCH, cookie: old } };
  const retry = await finish(begun);
  expect((await send(`${origin}/account`, account)).status).toBe(200);
  expect((await finish(retry)).status).toBe(200);
  expect((await send(`${origin}/account`, account)).status).toBe(401);
  step.restore();
});

test('T53 after a cross-site link, the landing page of a strict session waits for a click', async () => {
  const { origin, workos } = await createTestApp('express5', { authkit: { cookie: { sameSite: 'strict' } } });
  for (const [site, goesOn] of [
    ['cross-site', false],
    ['same-origin', true],
  ] as const) {
    const headers = { ...NAVIGATION, 'sec-fetch-site': site };
    const begun = await send(`${origin}/login?returnTo=/open`, { headers });
    const callback = await workos.authorize(begun.location!, { user: ADA });
    const landed = await send(callback, { headers: { ...NAVIGATION, cookie: cookiesOf(begun) } });
    expect([landed.status, landed.body.includes('http-equiv="refresh"')]).toEqual([200, goesOn]);
    expect(landed.body).toContain('href="/open"');
  }
});

test('T58 a second callback is answered although onSuccess answered the first itself', async () => {
  const { origin, workos } = await createTestApp('express5', {
    authkit: { onSuccess: ({ res }) => void res.end('mine') },
  });
  const begun = await send(`${origin}/login`, { headers: NAVIGATION });
  const callback = await workos.authorize(begun.location!, { user: ADA });
  const ask = () => send(callback, { headers: { ...NAVIGATION, cookie: cookiesOf(begun) } });
  const statuses = (await Promise.all([ask(), ask()])).map(({ status }) => status);
  expect(statuses.sort()).toEqual([200, 400]);
  expect((await ask()).status).toBe(400);
});
