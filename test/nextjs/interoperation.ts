import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import recorded from '../examples/exported-names.json' with { type: 'json' };
import { send } from '../support/browser.js';
import { exportedNames } from '../support/exported-names.js';
import {
  ADA,
  ANALYTICAL,
  DIFFERENCE,
  LocalBrowser,
  startOneDomain,
  type Layout,
  type OneDomain,
} from './one-domain.js';

const LAYOUTS: Record<string, (port: number) => Layout> = {
  'one origin': (port) => ({ next: `http://localhost:${port}`, express: `http://localhost:${port}` }),
  'two hosts of one domain': (port) => ({
    next: `http://app.shop.localhost:${port}`,
    express: `http://api.shop.localhost:${port}`,
    domain: 'shop.localhost',
  }),
};

const NEW_PASSWORD = 'a-newer-cookie-password-9876543210-zyxwvu';

test('docs/migration.md knows every exported name of the installed authkit-nextjs', () => {
  const types = fileURLToPath(
    new URL('node_modules/@workos-inc/authkit-nextjs/dist/esm/types/', import.meta.url),
  );
  const names = ['index.d.ts', 'components/index.d.ts'].flatMap((file) => exportedNames(join(types, file)));
  expect(recorded['@workos-inc/authkit-nextjs'].names).toEqual(names.sort());
});

interface Me {
  email?: string;
  sessionId?: string;
  organizationId?: string;
  data?: unknown;
}

describe.each(Object.entries(LAYOUTS))('Next.js and Express at %s', (_, layout) => {
  let at: OneDomain;
  let browser: LocalBrowser;
  beforeAll(async () => {
    at = await startOneDomain(layout);
  });
  afterAll(() => at.close());
  beforeEach(() => {
    browser = new LocalBrowser();
  });

  type App = 'next' | 'express';
  const APPS = [
    ['next', 'express'],
    ['express', 'next'],
  ] as const satisfies (readonly [App, App])[];

  async function signInAt(app: App): Promise<void> {
    const login = await browser.go(app === 'next' ? `${at.next}/login` : `${at.express}/api/login`);
    const callback = await at.workos.authorize(login.location!, { user: ADA, organizationId: ANALYTICAL });
    const reply = await browser.go(callback);
    expect(reply.setCookies.join('\n')).toMatch(/^wos-session(?:\.0)?=Fe26/m);
  }

  async function meAt(app: App): Promise<Me> {
    const reply = await browser.fetch(app === 'next' ? `${at.next}/me` : `${at.express}/api/me`);
    return reply.status === 401 ? {} : (JSON.parse(reply.body) as Me);
  }

  /** Runs a step ten minutes in the past, so that its access tokens have expired afterwards. */
  async function tenMinutesAgo(run: () => Promise<void>): Promise<void> {
    at.workos.clock.advance(-600_000);
    try {
      await run();
    } finally {
      at.workos.clock.advance(600_000);
    }
  }

  async function listSessions(): Promise<{ id: string; status: string }[]> {
    const [user] = at.workos.users();
    const { url, options } = at.workos;
    const reply = await send(`${url}/user_management/users/${user!.id}/sessions?limit=100`, {
      headers: { authorization: `Bearer ${options.apiKey}` },
    });
    return (JSON.parse(reply.body) as { data: { id: string; status: string }[] }).data;
  }

  const refreshes = () => at.workos.callsTo('refresh').length;

  test.each(APPS)('a user who signs in at %s is signed in at %s', async (here, there) => {
    await signInAt(here);
    const me = await meAt(here);
    expect(me).toMatchObject({ email: ADA, sessionId: expect.stringMatching(/^session_/) as string });
    expect(await meAt(there)).toEqual(me);
  });

  test.each(APPS)(
    'a session of %s that has expired is refreshed by %s, for both',
    async (other, refresher) => {
      await tenMinutesAgo(() => signInAt(other));
      const before = refreshes();
      const me = await meAt(refresher);
      expect(me).toMatchObject({ email: ADA });
      expect(refreshes()).toBe(before + 1);
      expect(await meAt(other)).toEqual(me);
      expect(refreshes()).toBe(before + 1);
    },
  );

  test('both may refresh the same session at the same time', async () => {
    await tenMinutesAgo(() => signInAt('next'));
    const both = await Promise.all([meAt('next'), meAt('express')]);
    expect(both).toMatchObject([{ email: ADA }, { email: ADA }]);
    expect([await meAt('next'), await meAt('express')]).toEqual(both);
  });

  test('a session is refreshed by both in turn', async () => {
    // Both apps follow the clock of the test WorkOS, so the user signs in twenty minutes ago.
    await tenMinutesAgo(() => tenMinutesAgo(() => signInAt('express')));
    const before = refreshes();
    await tenMinutesAgo(async () => {
      expect(await meAt('next')).toMatchObject({ email: ADA });
    });
    expect(refreshes()).toBe(before + 1);
    expect(await meAt('express')).toMatchObject({ email: ADA });
    expect(await meAt('next')).toMatchObject({ email: ADA });
    expect(refreshes()).toBe(before + 2);
  });

  test.each(APPS)('a user who switches organizations at %s has switched at %s', async (here, there) => {
    await signInAt('next');
    expect(await meAt(there)).toMatchObject({ organizationId: ANALYTICAL });
    const switched =
      here === 'next'
        ? await browser.fetch(`${at.next}/switch`, {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify({ organizationId: DIFFERENCE }),
          })
        : await browser.fetch(`${at.express}/api/organization?organizationId=${DIFFERENCE}`, {
            method: 'POST',
            headers: { origin: at.express },
          });
    expect(switched.status).toBeLessThan(300);
    expect(await meAt(here)).toMatchObject({ email: ADA, organizationId: DIFFERENCE });
    expect(await meAt(there)).toMatchObject({ email: ADA, organizationId: DIFFERENCE });
  });

  test.each(APPS)('a user who signs out at %s is signed out at %s, and at WorkOS', async (here, there) => {
    await signInAt('next');
    const { sessionId } = await meAt(there);
    const path = here === 'next' ? `${at.next}/logout` : `${at.express}/api/logout`;
    const origin = new URL(path).origin;
    const reply = await browser.go(path, {
      method: 'POST',
      headers: { origin, 'sec-fetch-site': 'same-origin' },
    });
    const logout = reply.location ?? /https?:[^"<\s]*session_id=[^"<\s]*/.exec(reply.body)?.[0] ?? '';
    expect(logout).toContain(`session_id=${sessionId!}`);
    await send(logout.replaceAll('&amp;', '&'));
    expect(await browser.cookie(at.next, 'wos-session')).toBeUndefined();
    expect([await meAt(here), await meAt(there)]).toEqual([{}, {}]);
    const sessions = await listSessions();
    expect(sessions.find(({ id }) => id === sessionId)).not.toMatchObject({ status: 'active' });
  });

  test('the data of onSuccess lasts until Next.js refreshes the session', async () => {
    at.configure({ onSuccess: () => ({ data: { plan: 'pro' } }) });
    await tenMinutesAgo(async () => {
      await signInAt('express');
      expect(await meAt('express')).toMatchObject({ data: { plan: 'pro' } });
    });
    await meAt('next');
    const me = await meAt('express');
    expect(me).toMatchObject({ email: ADA });
    expect(me).not.toHaveProperty('data');
    at.configure({});
  });

  test('Next.js replaces a session that is too large for one cookie, and Express accepts what it sets', async () => {
    at.configure({ onSuccess: () => ({ data: { notes: 'x'.repeat(5000) } }) });
    await signInAt('express');
    at.configure({});
    expect(await meAt('express')).toMatchObject({ email: ADA });
    // Next.js reads only the first cookie, which it cannot open.
    expect(await meAt('next')).toEqual({});
    await signInAt('next');
    expect(await meAt('next')).toMatchObject({ email: ADA });
    expect(await meAt('express')).toMatchObject({ email: ADA });
  });

  // The last test, because Next.js keeps the new password.
  test('Express knows both passwords while Next.js changes its only one', async () => {
    const { cookiePassword } = at.workos.options;
    const early = browser;
    await signInAt('next');
    const elsewhere = (browser = new LocalBrowser());
    await signInAt('next');
    browser = early;
    at.configure({ cookiePassword: [cookiePassword, NEW_PASSWORD] });
    expect(await meAt('express')).toMatchObject({ email: ADA });
    expect(await meAt('next')).toMatchObject({ email: ADA });

    await at.restartNext(NEW_PASSWORD);
    at.configure({ cookiePassword: [NEW_PASSWORD, cookiePassword] });
    expect(await meAt('express')).toMatchObject({ email: ADA });
    browser = new LocalBrowser();
    await signInAt('next');
    expect(await meAt('express')).toMatchObject({ email: ADA });
    browser = new LocalBrowser();
    await signInAt('express');
    expect(await meAt('next')).toMatchObject({ email: ADA });

    // Next.js rejects a session sealed with the old password.
    browser = elsewhere;
    expect(await meAt('next')).toEqual({});

    // A refresh by Express seals a session with the old password, which reaches Next.js.
    browser = early;
    await browser.fetch(`${at.express}/api/organization?organizationId=${DIFFERENCE}`, {
      method: 'POST',
      headers: { origin: at.express },
    });
    expect(await meAt('next')).toMatchObject({ email: ADA, organizationId: DIFFERENCE });
  });
});
