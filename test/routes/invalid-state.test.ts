import { describe, expect, test } from 'vitest';
import { authkit, type AuthKitError } from 'authkit-express';
import { FRAMEWORKS, type Framework } from '../support/frameworks.js';
import { Browser, NAVIGATION, send, type Reply } from '../support/browser.js';
import { ADA, createTestApp, type Options } from '../support/app.js';
import { logLines } from '../support/events.js';

const linkOf = ({ body }: Reply) =>
  /<a href="([^"]+)"/
    .exec(body)?.[1]
    ?.replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)));

/** An application that records its errors. */
async function watched(framework: Framework, options: Options = {}) {
  const errors: AuthKitError[] = [];
  const at = await createTestApp(framework, {
    authkit: { onError: ({ error }) => void errors.push(error), ...options },
  });
  const reason = () => {
    const { code, details } = errors.at(-1)!;
    expect(code).toBe('invalid_state');
    return details?.['reason'];
  };
  return { ...at, errors, reason };
}

describe.each(FRAMEWORKS)('a callback that cannot be used on %s', (framework) => {
  test('says no_cookie, seal, spent or expired to the application', async () => {
    const { origin, workos, browser, reason, errors } = await watched(framework);
    const login = await browser.go(`${origin}/login`);
    const callback = await workos.authorize(login.location!, { user: ADA });
    expect((await new Browser().go(callback)).status).toBe(400);
    expect(reason()).toBe('no_cookie');
    expect(errors.at(-1)!.message).toMatch(
      /127\.0\.0\.1 is not localhost.*http although redirectUri is https/,
    );
    const changed = new URL(callback);
    changed.searchParams.set('state', `${changed.searchParams.get('state')!}x`);
    expect((await browser.go(changed.href)).status).toBe(400);
    expect(reason()).toBe('seal');
    expect((await browser.go(callback)).status).toBe(302);
    expect((await new Browser().go(callback)).status).toBe(400);
    expect(reason()).toBe('spent');
    const slow = await browser.go(`${origin}/login`);
    const late = await workos.authorize(slow.location!, { user: ADA });
    workos.clock.advance(600_000);
    const forgetful = new Browser();
    expect((await forgetful.go(late)).status).toBe(400);
    expect(reason()).toBe('expired');
    expect(JSON.stringify(errors.at(-1)), 'details are not enumerable').not.toContain('reason');
  });

  test('keeps returnTo in the link of its page: expired, cancelled, rejected, an outage', async () => {
    let reject = false;
    const at = await createTestApp(framework, {
      authkit: { onSuccess: () => (reject ? { reject: 'no' } : undefined) },
    });
    const { origin, workos, browser } = at;
    const path = '/open?invoice=7&x=%C3%A9';
    const begin = async () =>
      (await browser.go(`${origin}/login?returnTo=${encodeURIComponent(path)}`)).location!;
    const wanted = `${origin}/login?returnTo=${encodeURIComponent(path)}`;
    const cancelled = await browser.go(await workos.authorize(await begin(), { deny: true }));
    expect([cancelled.status, linkOf(cancelled)]).toEqual([403, wanted]);
    const outage = workos.fail({ on: 'code', status: 500 });
    const failed = await browser.go(await workos.authorize(await begin(), { user: ADA }));
    outage.restore();
    expect([failed.status, linkOf(failed)]).toEqual([503, wanted]);
    reject = true;
    const rejected = await browser.go(await workos.authorize(await begin(), { user: ADA }));
    expect([rejected.status, linkOf(rejected)]).toEqual([403, wanted]);
    reject = false;
    const slow = await workos.authorize(await begin(), { user: ADA });
    workos.clock.advance(11 * 60_000);
    const expired = await browser.go(slow);
    expect([expired.status, linkOf(expired)]).toEqual([400, wanted]);
    // The link leads to the page that the user originally requested.
    const again = await browser.go(linkOf(expired)!);
    const landed = await browser.go(await workos.authorize(again.location!, { user: ADA }));
    expect(landed.location).toBe(origin + path);
  });
});

test('a state that was not sealed here contributes nothing to the page', async () => {
  const { origin, browser } = await createTestApp('express5');
  for (const state of ['x', '/evil', 'https://evil.example', 'Fe26.2*1*x*x*x**x*x~2']) {
    const reply = await browser.go(`${origin}/callback?code=x&state=${encodeURIComponent(state)}`);
    expect([reply.status, linkOf(reply)]).toEqual([400, `${origin}/login`]);
  }
});

test('a sign-in that began at another host says so in the log and to the application, and the page links there', async () => {
  const lines = logLines();
  const { origin, workos, reason, errors } = await watched('express5');
  const { location } = await send(`${origin}/login`, { headers: { ...NAVIGATION, host: 'www.example.com' } });
  const reply = await new Browser().go(await workos.authorize(location!, { user: ADA }));
  expect([reply.status, linkOf(reply)]).toEqual([400, `${origin}/login`]);
  expect(reason()).toBe('other_host');
  expect(errors.at(-1)!.message).toContain('www.example.com');
  expect(lines.join('\n')).toContain('"reason":"other_host"');
  // Behind a proxy that also rewrites Host at the callback, the mismatch cannot be detected.
  const hidden = await workos.authorize(location!, { user: ADA });
  await send(hidden, { headers: { ...NAVIGATION, host: 'www.example.com' } });
  expect(reason()).toBe('no_cookie');
});

test.each([
  ['localhost', true],
  ['[::1]', true],
  ['127.0.0.2', false],
  ['localhost.example.com', false],
  ['example.com', false],
  ['local host', false],
])('a sign-in at %s, where redirectUri says 127.0.0.1, is led to the right name: %s', async (name, isLed) => {
  const { origin } = await createTestApp('express5');
  const { port } = new URL(origin);
  const ask = (path: string, headers: Record<string, string>) =>
    send(origin + path, { headers: { ...NAVIGATION, ...headers } });
  const path = '/login?returnTo=/open&prompt=login';
  const reply = await ask(path, { host: `${name}:${port}` });
  if (isLed) expect([reply.status, reply.location, reply.setCookies]).toEqual([302, origin + path, []]);
  else expect(reply.location?.startsWith(origin)).not.toBe(true);
  // With a different port, Host is not the host that the browser shows.
  expect((await ask(path, { host: `${name}:1` })).location?.startsWith(origin)).not.toBe(true);
});

test('signInLifetime sets how long a sign-in may take, for the cookie and for the state', async () => {
  const { origin, workos, browser, reason } = await watched('express5', { signInLifetime: 3600 });
  const login = await browser.go(`${origin}/login`);
  expect(login.setCookies[0]).toContain('; Max-Age=3600;');
  const callback = await workos.authorize(login.location!, { user: ADA });
  const second = await browser.go(`${origin}/login`);
  const late = await workos.authorize(second.location!, { user: ADA });
  workos.clock.advance(3_599_000);
  const codeless = new URL(callback);
  // By then, WorkOS's code has expired but the transaction has not.
  expect((await browser.go(codeless.href)).status).toBe(400);
  expect(workos.callsTo('code')).toHaveLength(1);
  workos.clock.advance(1000);
  expect((await browser.go(late)).status).toBe(400);
  expect(reason()).toBe('expired');
  for (const signInLifetime of [59, 86_401, 1.5, NaN, '600', null, Infinity, {}])
    expect(() => authkit({ ...workos.options, signInLifetime: signInLifetime as number })).toThrow(
      'signInLifetime must be a whole number of seconds, from 60 to 86400',
    );
});
