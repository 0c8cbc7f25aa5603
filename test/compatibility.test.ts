import { WorkOS as WorkOS11 } from '@workos-inc/node';
import { sessionEncryption } from '@workos/authkit-session';
import { describe, expect, test } from 'vitest';
import { WorkOS as WorkOS10 } from 'workos-node-10';
import { WorkOS as WorkOS8 } from 'workos-node-8';
import type { TestWorkOS } from 'authkit-express/testing';
import { FETCH, send } from './support/browser.js';
import { ADA, createTestApp, type TestApp } from './support/app.js';

/** The part of the WorkOS SDK that these tests use, common to all of its major versions. */
interface Sdk {
  userManagement: {
    authenticateWithCode: (options: object) => Promise<{ sealedSession?: string; accessToken: string }>;
    loadSealedSession: (options: { sessionData: string; cookiePassword: string }) => {
      authenticate: () => Promise<{ authenticated: boolean; user?: { email: string } }>;
    };
  };
}

const SDKS = {
  '@workos-inc/node 8': WorkOS8,
  '@workos-inc/node 10': WorkOS10,
  '@workos-inc/node 11': WorkOS11,
};

function sdk(name: keyof typeof SDKS, { options }: TestWorkOS): Sdk {
  const { apiKey, clientId, apiHostname, apiPort } = options;
  const Client = SDKS[name] as unknown as new (key: string, options: object) => Sdk;
  return new Client(apiKey, { clientId, apiHostname, https: false, port: apiPort });
}

/** Returns a code from the test WorkOS, as a browser would receive it. */
async function code({ workos, origin }: TestApp): Promise<string> {
  const query = new URLSearchParams({
    response_type: 'code',
    client_id: workos.options.clientId,
    redirect_uri: `${origin}/callback`,
    provider: 'authkit',
  });
  const url = `${workos.url}/user_management/authorize?${query.toString()}`;
  return new URL(await workos.authorize(url, { user: ADA })).searchParams.get('code')!;
}

describe.each(Object.keys(SDKS) as (keyof typeof SDKS)[])('%s', (name) => {
  test('its sealed session is accepted here, and is refreshed when its token has expired', async () => {
    const at = await createTestApp('express5');
    const { cookiePassword, clientId } = at.workos.options;
    const { sealedSession } = await sdk(name, at.workos).userManagement.authenticateWithCode({
      code: await code(at),
      clientId,
      session: { sealSession: true, cookiePassword },
    });
    const headers = { ...FETCH, cookie: `wos-session=${sealedSession!}` };
    const reply = await send(`${at.origin}/account`, { headers });
    expect(JSON.parse(reply.body)).toMatchObject({ email: ADA });
    at.workos.clock.advance(600_000);
    const renewed = await send(`${at.origin}/account`, { headers });
    expect(renewed.status).toBe(200);
    expect(renewed.setCookies[0]).toMatch(/^wos-session=Fe26\.2\*1\*/);
  });

  test('it opens our session cookie', async () => {
    const at = await createTestApp('express5');
    await at.signIn();
    const sessionData = (await at.browser.cookie(at.origin, 'wos-session'))!;
    const { cookiePassword } = at.workos.options;
    const theirs = sdk(name, at.workos).userManagement.loadSealedSession({ sessionData, cookiePassword });
    expect(await theirs.authenticate()).toMatchObject({ authenticated: true, user: { email: ADA } });
  });
});

describe('@workos/authkit-session', () => {
  test('its session is accepted here, and it opens ours', async () => {
    const at = await createTestApp('express5');
    const password = at.workos.options.cookiePassword;
    await at.signIn();
    const ours = (await at.browser.cookie(at.origin, 'wos-session'))!;
    const opened = await sessionEncryption.unsealData<Record<string, unknown>>(ours, { password });
    expect(opened).toMatchObject({ user: { email: ADA }, refreshToken: expect.any(String) as string });
    const { accessToken, refreshToken, user } = opened;
    const theirs = await sessionEncryption.sealData(
      { accessToken, refreshToken, user },
      { password, ttl: 0 },
    );
    const reply = await send(`${at.origin}/account`, {
      headers: { ...FETCH, cookie: `wos-session=${theirs}` },
    });
    expect(JSON.parse(reply.body)).toMatchObject({ email: ADA });
  });
});

test('adding a new password signs no user out', async () => {
  const older = await createTestApp('express5');
  const session = await older.cookie({ user: ADA });
  const fresh = 'a-newer-cookie-password-9876543210-zyxwvu';
  for (const [cookiePassword, status] of [
    [[older.workos.options.cookiePassword, fresh], 200],
    [[fresh, older.workos.options.cookiePassword], 200],
    [[fresh], 401],
  ] as const) {
    const newer = await createTestApp('express5', { authkit: { ...older.workos.options, cookiePassword } });
    const reply = await send(`${newer.origin}/account`, { headers: { ...FETCH, cookie: session } });
    expect(reply.status).toBe(status);
    expect(reply.setCookies).toEqual([]);
  }
});
