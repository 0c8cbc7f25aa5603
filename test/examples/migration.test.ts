import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import type { Express } from 'express';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createTestWorkOS } from 'authkit-express/testing';
import { Browser } from '../support/browser.js';
import { bundleCode } from '../support/bundle.js';
import { ROOT } from '../support/documentation.js';
import { environmentOf, signInWith } from '../support/example.js';
import { freePort } from '../support/free-port.js';
import { startIdentityProvider } from '../support/identity-provider.js';

const ADA = 'ada@example.com';
const json = (body: string) => JSON.parse(body) as unknown;

/** Serves a module's `app` export. The module reads its public address from the environment when it loads. */
async function serve(
  env: (origin: string) => Record<string, string>,
  load: () => Promise<{ app: Express }>,
): Promise<string> {
  const port = await freePort();
  const origin = `http://localhost:${port}`;
  Object.assign(process.env, env(origin));
  const server = createServer((await load()).app).listen(port);
  await new Promise((resolve) => server.once('listening', resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return origin;
}

/** The same in a separate process, so that this process's leak checks do not see the old code's cookies. */
async function spawnOld(env: (origin: string) => Record<string, string>, file: string): Promise<string> {
  const port = await freePort();
  const origin = `http://localhost:${port}`;
  const code = `import { app } from './example/migration/${file}'; app.listen(${port}, () => console.log('up'));`;
  const program = await bundleCode('migration-old', code);
  const child = spawn(process.execPath, [program], { cwd: ROOT, env: { ...process.env, ...env(origin) } });
  onTestFinished(async () => {
    child.kill();
    await once(child, 'exit');
  });
  await once(child.stdout, 'data');
  return origin;
}

test('the page shows the files that are run here', () => {
  const page = readFileSync(join(ROOT, 'docs/migration.md'), 'utf8');
  const files = readdirSync(join(ROOT, 'example/migration'));
  expect(files).toHaveLength(4);
  for (const file of files) {
    expect(page, file).toContain(readFileSync(join(ROOT, 'example/migration', file), 'utf8'));
  }
});

describe('from the WorkOS recipe', () => {
  test('the code before and after behaves the same, and no user is signed out by the migration', async () => {
    const workos = await createTestWorkOS();
    onTestFinished(() => workos.close());
    const env = (origin: string) => environmentOf(workos, `${origin}/callback`);
    const before = await spawnOld(env, 'recipe-before.ts');
    const after = await serve(env, () => import('../../example/migration/recipe-after.js'));
    for (const origin of [before, after]) {
      const browser = new Browser();
      expect(json((await signInWith(browser, workos, `${origin}/dashboard`, ADA)).body)).toEqual({
        email: ADA,
      });
      const out = await browser.go(`${origin}/logout`, { headers: { 'sec-fetch-site': 'same-origin' } });
      // Either a redirect, or a page that redirects.
      expect(out.location ?? out.body).toContain('/user_management/sessions/logout?session_id=session_');
      expect((await browser.go(`${origin}/dashboard`)).location).toContain('/login');
      const cookie = await workos.signIn({ user: ADA, expiresIn: -1 });
      const stale = await browser.go(`${origin}/dashboard`, { headers: { cookie } });
      expect(stale.setCookies.some((line) => line.startsWith('wos-session=Fe26'))).toBe(true);
    }
    // Cookies do not depend on the port, so the new application receives those from the old application's browser.
    const browser = new Browser();
    await signInWith(browser, workos, `${before}/dashboard`, ADA);
    expect(json((await browser.go(`${after}/dashboard`)).body)).toEqual({ email: ADA });
  });
});

describe('from express-openid-connect', () => {
  test('the code before and after behaves the same', async () => {
    const claims = { sub: 'user_1', email: ADA, roles: ['admin'] };
    const provider = await startIdentityProvider('client', claims);
    const workos = await createTestWorkOS();
    onTestFinished(() => {
      provider.close();
      return workos.close();
    });
    const before = await serve(
      (origin) => ({
        BASE_URL: origin,
        ISSUER_BASE_URL: provider.issuer,
        CLIENT_ID: 'client',
        CLIENT_SECRET: 'a-client-secret-for-this-test-only',
        SECRET: 'a-cookie-secret-for-this-test-only',
      }),
      () => import('../../example/migration/oidc-before.js'),
    );
    const after = await serve(
      (origin) => environmentOf(workos, `${origin}/callback`),
      () => import('../../example/migration/oidc-after.js'),
    );
    for (const origin of [before, after]) {
      const browser = new Browser();
      expect(json((await browser.go(`${origin}/`)).body)).toEqual({ signedIn: false });
      const away = (await browser.follow(`${origin}/profile`)).location!;
      const back = origin === before ? (await browser.go(away)).location! : await workos.authorize(away);
      expect(json((await browser.follow(back)).body)).toEqual({ email: ADA });
      expect(json((await browser.go(`${origin}/`)).body)).toEqual({ signedIn: true });
      expect(json((await browser.go(`${origin}/admin`)).body)).toEqual({ admin: true });
    }
  });
});
