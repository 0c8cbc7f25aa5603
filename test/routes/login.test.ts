import { expect, test } from 'vitest';
import { NAVIGATION, send } from '../support/browser.js';
import { mapStore } from '../support/map-store.js';
import { ADA, createTestApp } from '../support/app.js';
import { authkit } from 'authkit-express';
import { createTestWorkOS } from 'authkit-express/testing';

test('D02 five hundred unfinished sign-ins cause no call to WorkOS and no write to the store', async () => {
  const writes: string[] = [];
  const store = mapStore();
  for (const method of ['set', 'add', 'replace'] as const) {
    const write = store[method] as (...args: unknown[]) => Promise<unknown>;
    store[method] = (...args: unknown[]) => {
      writes.push(method);
      return write(...args) as never;
    };
  }
  const { origin, workos } = await createTestApp('express5', { authkit: { store } });
  const begin = async () => {
    const reply = await send(`${origin}/login`, { headers: NAVIGATION });
    expect(reply.status).toBe(302);
    expect(reply.location).toContain(`${workos.url}/user_management/authorize?`);
    expect(reply.setCookies).toHaveLength(1);
    // The cookie contains the sign-in. The server keeps no copy of the state.
    return new URL(reply.location!).searchParams.get('state');
  };
  const states = new Set<unknown>();
  for (let round = 0; round < 10; round += 1)
    for (const state of await Promise.all(Array.from({ length: 50 }, begin))) states.add(state);
  expect(states.size).toBe(500);
  expect(workos.calls).toEqual([]);
  expect(writes).toEqual([]);
});

test('B01 with twenty tabs the newest sign-in finishes, and the Cookie header stays small', async () => {
  const { origin, browser, workos } = await createTestApp('express5');
  const away: string[] = [];
  for (let tab = 0; tab < 20; tab += 1)
    away.push((await browser.go(`${origin}/login?returnTo=/open`)).location!);
  expect((await browser.jar.getCookieString(origin)).length).toBeLessThan(8192);
  const newest = await browser.go(await workos.authorize(away.at(-1)!, { user: ADA }));
  expect(newest.headers.location).toBe('/open');
  const oldest = await browser.go(await workos.authorize(away[0]!, { user: ADA }));
  expect(oldest.headers.location).toBe('/');
});

test('T03 no option and no query removes PKCE', async () => {
  const off = { pkce: false, usePkce: false, codeChallenge: null };
  const workos = await createTestWorkOS();
  expect(() => authkit({ ...workos.options, ...off })).toThrow(/unknown option "pkce"/);
  await workos.close();
  const { origin, browser } = await createTestApp('express5');
  const query = 'code_challenge=x&code_challenge_method=plain&codeChallenge=&pkce=false';
  const { searchParams } = new URL((await browser.go(`${origin}/login?${query}`)).location!);
  expect(searchParams.getAll('code_challenge_method')).toEqual(['S256']);
  expect(searchParams.get('code_challenge')).toMatch(/^[\w-]{43}$/);
});

test('T07 a query cannot change redirect_uri, client_id or a pinned parameter', async () => {
  const { origin, workos } = await createTestApp('express5', {
    authkit: { signIn: { organizationId: 'org_own' } },
  });
  const query =
    'redirect_uri=https://evil.example&client_id=evil&response_type=token&organizationId=org_evil&scope=x&nonce=y';
  const { location } = await send(`${origin}/login?${query}`, { headers: NAVIGATION });
  const params = new URL(location!).searchParams;
  expect(params.getAll('redirect_uri')).toEqual([`${origin}/callback`]);
  expect(params.getAll('client_id')).toEqual([workos.options.clientId]);
  expect(params.getAll('response_type')).toEqual(['code']);
  expect(params.getAll('organization_id')).toEqual(['org_own']);
  expect([params.get('scope'), params.get('nonce')]).toEqual([null, null]);
});

test('T25 subresource requests start no sign-in, and thirty tabs leave five cookies', async () => {
  const { origin, browser } = await createTestApp('express5');
  for (const dest of ['image', 'iframe', 'script', 'style', 'empty', 'video'])
    for (let request = 0; request < 10; request += 1) {
      const headers = { 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': dest, 'sec-fetch-site': 'cross-site' };
      expect((await send(`${origin}/login`, { headers })).setCookies).toEqual([]);
    }
  for (let tab = 0; tab < 30; tab += 1) {
    const reply = await browser.go(`${origin}/login?returnTo=/${'x'.repeat(900)}`);
    expect(reply.status, 'a page load does start one').toBe(302);
    expect(reply.setCookies.filter((line) => /^wos-auth-verifier-[^=]+=[^;]/.test(line))).toHaveLength(1);
  }
  const names = await browser.cookieNames(origin);
  expect(names.filter((name) => name.startsWith('wos-auth-verifier-'))).toHaveLength(5);
  expect((await browser.jar.getCookieString(origin)).length).toBeLessThan(512);
});
