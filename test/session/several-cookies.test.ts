import { describe, expect, test } from 'vitest';
import { FETCH, send, type Reply } from '../support/browser.js';
import { mapStore } from '../support/map-store.js';
import { ADA, createTestApp, type TestApp } from '../support/app.js';

const EXPIRED = 301_000;
const OTHER_PASSWORD = 'another-cookie-password-0123456789-abcdef';

const valueOf = (cookie: string) => cookie.slice(cookie.indexOf('=') + 1);

/** A request with several session cookies of the same name, as happens after `cookie.domain` is changed. */
function account(origin: string, ...values: readonly string[]): Promise<Reply> {
  const cookie = values.map((value) => `wos-session=${value}`).join('; ');
  return send(`${origin}/account`, { headers: { ...FETCH, cookie } });
}

const sessionIdOf = (value: string, site: TestApp) =>
  account(site.origin, value).then(({ body }) => (JSON.parse(body) as { sessionId: string }).sessionId);

/** Each function makes the value of a session that does not count as signed in. */
const SIGNED_OUT: Record<string, (site: TestApp) => Promise<string>> = {
  'that WorkOS refuses': async (site) => {
    const value = valueOf(await site.cookie({ user: ADA }));
    site.workos.endSession(await sessionIdOf(value, site));
    site.workos.clock.advance(EXPIRED);
    return value;
  },
  'that was signed out here': async (site) => {
    const cookie = await site.cookie({ user: ADA });
    await send(`${site.origin}/logout`, { method: 'POST', headers: { ...FETCH, cookie } });
    return valueOf(cookie);
  },
  'that another password sealed': async () => {
    const other = await createTestApp('express5', { workos: { cookiePassword: OTHER_PASSWORD } });
    return valueOf(await other.cookie({ user: ADA }));
  },
  'of another WorkOS client': async () => {
    const other = await createTestApp('express5', { workos: { clientId: 'client_other' } });
    return valueOf(await other.cookie({ user: ADA }));
  },
  'that is junk': async () => 'Fe26.2*1*x*x*x**x*x~2',
};

describe.each(Object.keys(SIGNED_OUT))('a session %s', (name) => {
  test('does not hide a valid one, whichever comes first, and the valid one is not cleared', async () => {
    const site = await createTestApp('express5');
    const bad = await SIGNED_OUT[name]!(site);
    const good = valueOf(await site.cookie({ user: 'grace@example.com' }));
    for (const values of [
      [bad, good],
      [good, bad],
    ]) {
      const reply = await account(site.origin, ...values);
      expect(reply.status).toBe(200);
      expect(JSON.parse(reply.body)).toMatchObject({ email: 'grace@example.com' });
      expect(reply.setCookies).toEqual([]);
    }
  });

  test('does not hide one that has to be refreshed', async () => {
    const site = await createTestApp('express5');
    const good = valueOf(await site.cookie({ user: 'grace@example.com' }));
    const bad = await SIGNED_OUT[name]!(site);
    site.workos.clock.advance(EXPIRED);
    const reply = await account(site.origin, bad, good);
    expect(reply.status).toBe(200);
    expect(reply.setCookies.filter((line) => /^wos-session=Fe26/.test(line))).toHaveLength(1);
  });
});

test('the cookie is cleared only if no session is signed in and WorkOS refused one', async () => {
  const site = await createTestApp('express5');
  const junk = await SIGNED_OUT['that is junk']!(site);
  const orders = [(refused: string) => [refused, junk], (refused: string) => [junk, refused]];
  for (const valuesOf of orders) {
    const refused = await SIGNED_OUT['that WorkOS refuses']!(site);
    const reply = await account(site.origin, ...valuesOf(refused));
    expect(reply.status).toBe(401);
    expect(reply.setCookies.filter((line) => /^wos-session=;.*Max-Age=0/.test(line))).toHaveLength(1);
  }
});

test('a session that cannot be judged now keeps the cookie, although WorkOS refused another one', async () => {
  const site = await createTestApp('express5');
  const waiting = valueOf(await site.cookie({ user: ADA }));
  const refused = await SIGNED_OUT['that WorkOS refuses']!(site);
  expect((await account(site.origin, refused)).status).toBe(401);
  site.workos.fail({ on: 'refresh', status: 503 });
  for (const values of [
    [refused, waiting],
    [waiting, refused],
  ]) {
    const reply = await account(site.origin, ...values);
    expect(reply.status).toBe(503);
    expect(reply.setCookies).toEqual([]);
  }
  site.workos.recover();
  expect((await account(site.origin, refused, waiting)).status).toBe(200);
});

test('a session that is gone from the store does not hide one that is there', async () => {
  const map = new Map<string, string>();
  const site = await createTestApp('express5', { authkit: { store: mapStore(map), session: 'store' } });
  await site.signIn();
  const gone = await site.browser.cookie(site.origin, 'wos-session');
  map.clear();
  await site.browser.jar.removeAllCookies();
  await site.signIn('grace@example.com');
  const good = await site.browser.cookie(site.origin, 'wos-session');
  for (const values of [
    [gone!, good!],
    [good!, gone!],
  ]) {
    // A second process, which has neither session cached.
    const reply = await account((await site.sibling()).origin, ...values);
    expect(JSON.parse(reply.body)).toMatchObject({ email: 'grace@example.com' });
  }
});

test('T44 planted IDs of sessions that are not in the store are looked up at the same time', async () => {
  const map = new Map<string, string>();
  const store = mapStore(map);
  const { origin, browser, signIn, sibling } = await createTestApp('express5', {
    authkit: { store, session: 'store' },
  });
  const values: string[] = [];
  for (let count = 0; count < 6; count += 1) {
    await signIn();
    values.push((await browser.cookie(origin, 'wos-session'))!);
    if (count < 5) await browser.fetch(`${origin}/logout`, { method: 'POST' });
  }
  // After the first session, the store returns none until it has been asked for all of them.
  const asked = new Set<string>();
  let release: () => void = () => undefined;
  const areAsked = new Promise<void>((resolve) => (release = resolve));
  const get = async (key: string) => {
    if (key.startsWith('session:') && asked.add(key).size === values.length) release();
    if (asked.size > 1) await areAsked;
    return map.get(key);
  };
  const other = await sibling({ store: { ...store, get } });
  const reply = await account(other.origin, ...values);
  expect(reply.status).toBe(200);
});
