import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createTestWorkOS, type TestWorkOS } from 'authkit-express/testing';
import { createApp } from '../../example/pino/app.js';
import { ADA, createTestApp } from '../support/app.js';
import { Browser, FETCH, send } from '../support/browser.js';
import { ROOT } from '../support/documentation.js';
import { environmentOf, runExample, signInWith } from '../support/example.js';

const json = (body: string) => JSON.parse(body) as Record<string, unknown>;

const SPA = 'http://localhost:5173';
/** Headers that a browser sends for `fetch()` on the page of the other origin. */
const FROM_SPA = { ...FETCH, origin: SPA, 'sec-fetch-site': 'same-site' };

describe('a single-page application on another origin', () => {
  const example = runExample(() => import('../../example/spa-other-origin/app.js'));

  test('calls the API with the session cookie, signs in, comes back, and signs out', async () => {
    const { origin, workos } = example;
    const browser = new Browser();
    const refused = await browser.fetch(`${origin}/me`, { headers: FROM_SPA });
    expect(refused.status).toBe(401);
    expect(refused.headers).toMatchObject({
      'access-control-allow-origin': SPA,
      'access-control-allow-credentials': 'true',
    });
    const url = new URL(String(json(refused.body)['loginUrl']), origin);
    expect(url.origin).toBe(origin);
    url.searchParams.set('returnTo', `${SPA}/orders?page=2`);
    const away = await browser.follow(url.href);
    const landed = await browser.follow(await workos.authorize(away.location!, { user: ADA }));
    expect(landed.location).toBe(`${SPA}/orders?page=2`);
    const me = await browser.fetch(`${origin}/me`, { headers: FROM_SPA });
    expect(json(me.body)).toEqual({ email: ADA });
    const post = { method: 'POST', headers: FROM_SPA };
    expect((await browser.fetch(`${origin}/orders`, post)).status).toBe(201);
    const out = await browser.fetch(`${origin}/logout`, post);
    expect(out.headers['access-control-allow-origin']).toBe(SPA);
    expect(new URL(String(json(out.body)['logoutUrl'])).searchParams.get('return_to')).toContain(SPA);
    expect((await browser.fetch(`${origin}/me`, { headers: FROM_SPA })).status).toBe(401);
  });

  test('a page of a third origin can neither act nor be returned to', async () => {
    const { origin, workos } = example;
    const browser = new Browser();
    const landed = await signInWith(browser, workos, `${origin}/login?returnTo=https://evil.example/`, ADA);
    expect(landed.location).toBe(`${SPA}/`);
    const headers = { ...FROM_SPA, origin: 'https://evil.example' };
    expect((await browser.fetch(`${origin}/orders`, { method: 'POST', headers })).status).toBe(403);
    expect((await browser.fetch(`${origin}/logout`, { method: 'POST', headers })).status).toBe(403);
    expect((await browser.fetch(`${origin}/me`, { headers })).headers['access-control-allow-origin']).toBe(
      SPA,
    );
  });

  test('a preflight of the page is answered before any guard', async () => {
    const headers = { origin: SPA, 'access-control-request-method': 'POST' };
    const { status, headers: answer } = await send(`${example.origin}/orders`, {
      method: 'OPTIONS',
      headers,
    });
    expect([status, answer['access-control-allow-origin']]).toEqual([204, SPA]);
  });
});

describe('csrf-csrf', () => {
  const example = runExample(() => import('../../example/csrf/app.js'));

  test('after authkit(), a token belongs to the session that it was made for', async () => {
    const { origin } = example;
    const signedIn = async (user: string) => {
      const browser = new Browser();
      await example.signIn('/token', user, browser);
      const { token } = json((await browser.fetch(`${origin}/token`)).body);
      return { browser, token: String(token) };
    };
    const [ada, grace] = [await signedIn(ADA), await signedIn('grace@example.com')];
    const transfer = (browser: Browser, token: string) =>
      browser.fetch(`${origin}/transfer`, { method: 'POST', headers: { 'x-csrf-token': token } });
    expect(json((await transfer(ada.browser, ada.token)).body)).toEqual({ by: ADA });
    expect((await transfer(ada.browser, grace.token)).status).toBe(403);
    expect((await transfer(ada.browser, '')).status).toBe(403);
  });
});

test('pino-http logs the user, and neither the session nor a code', async () => {
  const workos = await createTestWorkOS();
  onTestFinished(() => workos.close());
  const lines: string[] = [];
  const output = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString());
      done();
    },
  });
  const server = createServer((req, res) => {
    app(req, res);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  Object.assign(process.env, environmentOf(workos, `${origin}/callback`));
  const app = createApp(output);
  const browser = new Browser();
  const landed = await signInWith(browser, workos, `${origin}/account`, ADA);
  expect(json(landed.body)).toEqual({ email: ADA });
  const session = await browser.cookie(origin, 'wos-session');
  const logged = lines.join('');
  expect(logged).toContain('"msg":"account opened"');
  expect(logged).toContain('"userId":"user_');
  expect(logged).toContain('"path":"/callback"');
  expect(logged).toContain('[Redacted]');
  expect(logged).not.toContain(session!.slice(0, 40));
  expect(logged).not.toMatch(/code=|Fe26/);
});

/** The first item of a list that the WorkOS API returns. */
async function firstOf({ url, options }: TestWorkOS, path: string) {
  const headers = { authorization: `Bearer ${options.apiKey}` };
  const { data } = json((await send(url + path, { headers })).body) as {
    data: { id: string; organization_id: string }[];
  };
  return data[0]!;
}

describe('WorkOS FGA in a guard', () => {
  const example = runExample(() => import('../../example/fga/app.js'));

  test('asks whether the membership of the user has the permission for the document', async () => {
    const { workos, origin } = example;
    const checks: unknown[] = [];
    const user = await firstOf(workos, `/user_management/users?email=${ADA}`);
    const membership = await firstOf(workos, `/user_management/organization_memberships?user_id=${user.id}`);
    const path = `/authorization/organization_memberships/${membership.id}/check`;
    const cookie = await workos.signIn({ user: ADA, organizationId: membership.organization_id });
    const open = (id: string) => send(`${origin}/documents/${id}`, { headers: { ...FETCH, cookie } });
    for (const [authorized, status] of [
      [true, 200],
      [false, 403],
    ] as const) {
      const fault = workos.fail({ on: { method: 'POST', path }, body: { authorized } });
      expect((await open('7')).status).toBe(status);
      fault.restore();
    }
    checks.push(...workos.callsTo('other').map(({ body }) => body));
    expect(checks).toContainEqual({
      permission_slug: 'document:read',
      resource_type_slug: 'document',
      resource_external_id: '7',
    });
    const outside = await workos.signIn({ user: 'alan@example.com' });
    const headers = { ...FETCH, cookie: outside };
    expect((await send(`${origin}/documents/7`, { headers })).status).toBe(403);
  });
});

test('docs/recipes/cookies.md names every cookie that the package sets', async () => {
  const page = readFileSync(join(ROOT, 'docs/recipes/cookies.md'), 'utf8');
  const { origin, workos, browser } = await createTestApp('express5');
  const names = new Set<string>();
  const note = ({ setCookies }: { setCookies: string[] }) => {
    for (const line of setCookies) names.add(line.slice(0, line.indexOf('=')));
  };
  const away = await browser.go(`${origin}/login`);
  note(away);
  note(await browser.go(await workos.authorize(away.location!, { user: ADA })));
  note(await browser.fetch(`${origin}/logout`, { method: 'POST' }));
  const kinds = [...names].map((name) => name.replace(/^(wos-auth-verifier-).+/, '$1…'));
  expect(kinds.length).toBeGreaterThanOrEqual(3);
  for (const kind of kinds) expect(page).toContain(`\`${kind}\``);
});
