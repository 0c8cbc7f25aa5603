import debug from 'debug';
import { format, inspect } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { FETCH, NAVIGATION, send } from './support/browser.js';
import { ADA, createTestApp } from './support/app.js';

test('nothing secret is printed, answered or inspectable, with every log on', async () => {
  const output: string[] = [];
  const { log } = debug;
  onTestFinished(() => void (debug.log = log));
  debug.log = (...args: unknown[]) => void output.push(format(...args));
  const { origin, browser, workos, signIn } = await createTestApp('express5', {
    authkit: {
      onError: ({ error }) => void output.push(inspect(error, { depth: 9 }), JSON.stringify(error)),
    },
  });
  const landed = await signIn(ADA);
  expect(landed.status, landed.body).toBe(200);
  const old = (await browser.cookie(origin, 'wos-session'))!;
  workos.clock.advance(600_000);
  await browser.go(`${origin}/account`);
  const session = (await browser.cookie(origin, 'wos-session'))!;
  expect(session).not.toBe(old);
  const bodies = [];
  for (const fault of [
    { status: 500 },
    { status: 401, body: '{"message":"Unauthorized"}' },
    { reset: true },
    { status: 200, body: '{}' },
  ]) {
    workos.clock.advance(600_000);
    const down = workos.fail({ on: 'refresh', ...fault });
    for (const headers of [FETCH, NAVIGATION]) {
      bodies.push(
        (await send(`${origin}/account`, { headers: { ...headers, cookie: `wos-session=${session}` } })).body,
      );
    }
    down.restore();
  }
  const login = await browser.go(`${origin}/login`);
  workos.fail({ on: 'code', status: 400, body: '{"error":"invalid_grant","error_description":"no"}' });
  const callback = await workos.authorize(login.location!, { user: ADA });
  bodies.push((await browser.go(callback)).body);
  await browser.go(`${origin}/logout`, { method: 'POST', headers: { 'sec-fetch-site': 'same-origin' } });

  const sent = workos.calls.flatMap(({ body }) => Object.values((body ?? {}) as Record<string, string>));
  const secrets = [
    ...sent.filter(
      (value) =>
        typeof value === 'string' && value.length >= 20 && !/^client_|^org_|grant|authorization/.test(value),
    ),
    workos.options.cookiePassword,
    workos.options.apiKey,
    session,
    old,
    new URL(callback).searchParams.get('code')!,
    new URL(callback).searchParams.get('state')!,
  ];
  expect(secrets.length).toBeGreaterThan(10);
  expect(output.join('')).toContain('authkit:refresh');
  for (const secret of secrets) {
    expect(output.join('\n').includes(secret), `printed: ${secret.slice(0, 12)}…`).toBe(false);
    expect(bodies.join('\n').includes(secret), `answered: ${secret.slice(0, 12)}…`).toBe(false);
  }
});
