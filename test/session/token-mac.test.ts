import { createHmac, hkdfSync, sign } from 'node:crypto';
import { expect, test } from 'vitest';
import { open, seal } from '../../src/session/iron-seal.js';
import { createSignedStore } from '../../src/stores/signed-store.js';
import { createTokenMacs } from '../../src/workos/verified-token-mac.js';
import { ADA, createTestApp, type TestApp } from '../support/app.js';
import { FETCH, send, type Reply } from '../support/browser.js';
import { mapStore } from '../support/map-store.js';
import { rsaKeyPair } from '../support/rsa-keys.js';

interface Content {
  accessToken: string;
  refreshToken: string;
  user: object;
  authkitExpress?: { purpose: string; tokenMac?: unknown; authenticatedAt?: number };
}

/** The value of the session cookie that a response sets. */
function cookieValue(reply: Reply): string {
  const line = reply.setCookies.find((cookie) => cookie.startsWith('wos-session='))!;
  return line.slice(line.indexOf('=') + 1, line.indexOf(';'));
}

function kidOf(token: string): string {
  return (JSON.parse(Buffer.from(token.split('.')[0]!, 'base64url').toString()) as { kid: string }).kid;
}

function tools({ workos, origin }: TestApp) {
  const { cookiePassword } = workos.options;
  const macs = createTokenMacs(workos.options);
  const read = (value: string) => open(value, [cookiePassword], workos.clock.now()) as Content;
  const ask = async (content: object, at = origin) =>
    send(`${at}/account`, {
      headers: { ...FETCH, cookie: `wos-session=${await seal(content, cookiePassword)}` },
    });
  const isMarked = ({ accessToken, authkitExpress: extension }: Content) =>
    macs.isValid(String(extension?.tokenMac), accessToken, kidOf(accessToken));
  const withMac = (content: Content, tokenMac: unknown) => ({
    ...content,
    authkitExpress: { purpose: 'session', tokenMac },
  });
  return { macs, read, ask, isMarked, withMac };
}

const attacker = rsaKeyPair(1);

/** The same token with different claims, signed with an attacker's key. */
function forge(token: string, changes: object): string {
  const [head = '', body = ''] = token.split('.');
  const claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as object;
  const changed = Buffer.from(JSON.stringify({ ...claims, ...changes })).toString('base64url');
  const signature = sign('sha256', Buffer.from(`${head}.${changed}`), attacker.privateKey);
  return `${head}.${changed}.${signature.toString('base64url')}`;
}

test('the sessions of a sign-in, a refresh and a switch of organization have the MAC of their token', async () => {
  const site = await createTestApp('express5', {
    workos: {
      organizations: [{ id: 'org_1', name: 'One' }],
      users: [{ email: ADA, memberships: [{ organizationId: 'org_1' }] }],
    },
    authkit: { routes: { switchOrganization: '/switch' } },
  });
  const { origin, browser, workos } = site;
  const { read, isMarked } = tools(site);
  await site.signIn();
  const value = async () => {
    const cookie = await browser.jar.getCookieString(origin);
    return read(/wos-session=([^;]*)/.exec(cookie)![1]!);
  };
  const first = await value();
  expect(isMarked(first)).toBe(true);
  workos.clock.advance(600_000);
  expect((await browser.go(`${origin}/account`)).status).toBe(200);
  const second = await value();
  expect(second.accessToken).not.toBe(first.accessToken);
  expect(isMarked(second)).toBe(true);
  await browser.go(`${origin}/switch?organizationId=org_1&returnTo=/account`, {
    method: 'POST',
    headers: { 'sec-fetch-site': 'same-origin' },
  });
  const third = await value();
  expect(third.accessToken).not.toBe(second.accessToken);
  expect(isMarked(third)).toBe(true);
  // Applications do not see the MAC.
  const seen = await browser.go(`${origin}/account`);
  expect(seen.body).not.toContain(String(third.authkitExpress?.tokenMac));
});

test('T60 with the cookie password alone, a forged access token is refused', async () => {
  const site = await createTestApp('express5');
  const { workos, served } = site;
  const { macs, read, ask, withMac } = tools(site);
  const genuine = read((await workos.signIn({ user: ADA })).slice('wos-session='.length));
  const other = read(
    (await workos.signIn({ user: { email: 'eve@example.com' } })).slice('wos-session='.length),
  );
  const { accessToken } = genuine;
  const kid = kidOf(accessToken);
  const forged = forge(accessToken, { role: 'admin', permissions: ['everything'] });
  const content = { ...genuine, accessToken: forged };
  const { apiKey, clientId, cookiePassword } = workos.options;
  const right = macs.create(forged, kid)!;
  const bySecret = (secret: string) => {
    const key = hkdfSync('sha256', secret, clientId, 'authkit-express access token verified v1', 32);
    return createHmac('sha256', Buffer.from(key))
      .update(`${forged}\0${kid}`)
      .digest()
      .toString('base64url', 0, 16);
  };
  // The MAC tests below are only meaningful if this is the correct MAC.
  expect(bySecret(apiKey)).toBe(right);
  const wrong: unknown[] = [
    undefined,
    null,
    '',
    true,
    1,
    [right],
    { mac: right },
    genuine.authkitExpress?.tokenMac,
    other.authkitExpress?.tokenMac,
    bySecret(cookiePassword),
    bySecret(''),
    createTokenMacs({ apiKey, clientId: 'client_other' }).create(forged, kid),
    createTokenMacs({ apiKey: 'sk_other', clientId }).create(forged, kid),
    macs.create(forged, 'another'),
    right.slice(0, -1),
    right.slice(0, 11),
    `${right}AA`,
    `${right}=`,
    right.toUpperCase(),
    createHmac('sha256', apiKey).update(forged).digest('base64url').slice(0, 22),
  ];
  for (const tokenMac of wrong) {
    const reply = await ask(withMac(content, tokenMac));
    expect(reply.status, JSON.stringify(tokenMac)).toBe(401);
  }
  expect((await ask({ ...content, authkitExpress: undefined })).status).toBe(401);
  // In a different field, it has no effect.
  expect((await ask({ ...content, tokenMac: right })).status).toBe(401);
  expect(served()).toBe(0);
  // This is possible only with the API key as well.
  expect((await ask(withMac(content, right))).status).toBe(200);
});

test('a session with a wrong MAC, or with none, is verified in full and accepted', async () => {
  const site = await createTestApp('express5');
  const { workos } = site;
  const { read, ask, withMac } = tools(site);
  for (const tokenMac of [undefined, null, '', 'A'.repeat(22), 7, {}, 'x'.repeat(3000)]) {
    const genuine = read((await workos.signIn({ user: ADA })).slice('wos-session='.length));
    expect((await ask(withMac(genuine, tokenMac))).status, JSON.stringify(tokenMac)).toBe(200);
    expect((await ask({ ...genuine, authkitExpress: undefined })).status).toBe(200);
  }
});

test('T60 a valid MAC does not help a token of another user, client or issuer, or one that has expired', async () => {
  const site = await createTestApp('express5');
  const { workos, served } = site;
  const { macs, read, ask, withMac } = tools(site);
  const genuine = read((await workos.signIn({ user: ADA })).slice('wos-session='.length));
  for (const changes of [
    { sub: 'user_other' },
    { client_id: 'client_other' },
    { iss: 'https://other.example' },
    { aud: 'other' },
    { sid: '' },
    { exp: 'never' },
  ]) {
    const accessToken = forge(genuine.accessToken, changes);
    const tokenMac = macs.create(accessToken, kidOf(accessToken));
    const reply = await ask(withMac({ ...genuine, accessToken }, tokenMac));
    expect(reply.status, JSON.stringify(changes)).toBe(401);
  }
  // An expired token is refreshed, which WorkOS rejects here.
  const expired = forge(genuine.accessToken, { exp: 1_600_000_000 });
  const content = { ...genuine, accessToken: expired, refreshToken: 'unknown' };
  expect((await ask(withMac(content, macs.create(expired, kidOf(expired))))).status).toBe(401);
  expect(served()).toBe(0);
});

test('a session whose key is not published any more is refreshed in spite of its MAC', async () => {
  const site = await createTestApp('express5', { workos: { accessTokenLifetime: 86_400 } });
  const { workos } = site;
  const { read, ask, isMarked } = tools(site);
  const genuine = read((await workos.signIn({ user: ADA })).slice('wos-session='.length));
  expect(isMarked(genuine)).toBe(true);
  await workos.rotateKeys({ keepOld: false });
  // The next time the keys are fetched, this token's key is not among them.
  workos.clock.advance(601_000);
  const reply = await ask(genuine);
  expect(reply.status).toBe(200);
  const renewed = read(cookieValue(reply));
  expect(kidOf(renewed.accessToken)).not.toBe(kidOf(genuine.accessToken));
  expect(isMarked(renewed)).toBe(true);
});

test('during a change of the API key, sessions of both keys are accepted, and get a new MAC with the next refresh', async () => {
  const site = await createTestApp('express5');
  const { workos } = site;
  const { read, ask, withMac, isMarked } = tools(site);
  const earlier = createTokenMacs({ ...workos.options, apiKey: 'sk_earlier' });
  const genuine = read((await workos.signIn({ user: ADA })).slice('wos-session='.length));
  const { accessToken } = genuine;
  const old = withMac(genuine, earlier.create(accessToken, kidOf(accessToken)));
  expect(isMarked(old)).toBe(false);
  expect(await ask(old)).toMatchObject({ status: 200, setCookies: [] });
  const sibling = await site.sibling({ apiKey: 'sk_earlier' });
  expect((await ask(genuine, sibling.origin)).status).toBe(200);
  expect((await ask(old, sibling.origin)).status).toBe(200);
  workos.clock.advance(600_000);
  const reply = await ask(old);
  expect(reply.status).toBe(200);
  expect(isMarked(read(cookieValue(reply)))).toBe(true);
});

test('T60 in the store, a session keeps its MAC, and a forged one is refused', async () => {
  const entries = new Map<string, string>();
  const authkit = { store: mapStore(entries), session: 'store' } as const;
  const site = await createTestApp('express5', { authkit });
  const { browser, origin, workos } = site;
  const { read, isMarked, macs, withMac } = tools(site);
  const { clientId, cookiePassword } = workos.options;
  await site.signIn();
  const cookie = await browser.jar.getCookieString(origin);
  const id = /wos-session=s1\.([^.]+)\./.exec(cookie)![1]!;
  const store = createSignedStore({
    store: mapStore(entries),
    clientId,
    passwords: [cookiePassword],
    timeout: 1000,
  });
  const stored = await store.get('session', id);
  const content = read(stored.kind === 'hit' ? stored.text : '');
  expect(isMarked(content)).toBe(true);
  const askNewProcess = async (changed: object) => {
    await store.put('session', id, await seal(changed, cookiePassword), 60_000);
    const { origin: at } = await site.sibling({});
    return (await send(`${at}/account`, { headers: { ...FETCH, cookie } })).status;
  };
  expect(await askNewProcess(content)).toBe(200);
  const accessToken = forge(content.accessToken, { role: 'admin' });
  expect(await askNewProcess({ ...content, accessToken })).toBe(401);
  // This is possible only with the API key.
  const tokenMac = macs.create(accessToken, kidOf(accessToken));
  expect(await askNewProcess(withMac({ ...content, accessToken }, tokenMac))).toBe(200);
});
