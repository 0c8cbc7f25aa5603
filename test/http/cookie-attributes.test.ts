import { expect, test } from 'vitest';
import { NAVIGATION, send, FETCH } from '../support/browser.js';
import { createTestApp } from '../support/app.js';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createCookies } from '../../src/http/cookies.js';

const LATER = 600_000;

test('B06 plain http on this machine: no Secure, no prefix', async () => {
  const { origin } = await createTestApp('express5');
  expect((await send(`${origin}/login`, { headers: NAVIGATION })).setCookies[0]).not.toMatch(/Secure|^__/);
});

test('K04 what is cleared has the attributes with which it was set', async () => {
  const attributes = (line: string) =>
    line
      .split('; ')
      .slice(1)
      .filter((part) => !part.startsWith('Max-Age'))
      .join();
  for (const cookie of [
    {},
    { sameSite: 'strict' as const },
    { name: 'sid' },
    { domain: 'example.com' },
    { sameSite: 'none' as const },
  ]) {
    const secure = cookie.sameSite === 'none' || 'domain' in cookie;
    const { setSession, clearSession } = createCookies({
      name: 'wos-session',
      domain: undefined,
      sameSite: 'lax',
      maxAge: 9,
      secure,
      ...cookie,
    });
    const lines = await Promise.all(
      [setSession, clearSession].map(async (act) => {
        const server = createServer((req: IncomingMessage, res: ServerResponse) => {
          act(req, res, 'x'.repeat(10), () => true);
          res.end();
        });
        await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
        const reply = await send(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
        server.close();
        return attributes(reply.setCookies[0]!);
      }),
    );
    expect(lines[0]).toBe(lines[1]);
  }
});

test('T10 cookies are HttpOnly, of this path, SameSite, and Secure under https', async () => {
  const secure = 'https://app.example.com/callback';
  const { origin, cookie, workos } = await createTestApp('express5', { authkit: { redirectUri: secure } });
  const { setCookies } = await send(`${origin}/login`, { headers: NAVIGATION });
  expect(setCookies).toHaveLength(1);
  expect(setCookies[0]).toMatch(/; Max-Age=600; Path=\/; HttpOnly; Secure; SameSite=Lax$/);
  const old = await cookie();
  workos.clock.advance(LATER);
  const renewed = await send(`${origin}/account`, { headers: { ...FETCH, cookie: old } });
  const ended = await send(`${origin}/logout`, { method: 'POST', headers: { cookie: old } });
  for (const { setCookies: lines } of [renewed, ended]) {
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^wos-session=.*; Path=\/; HttpOnly; Secure; SameSite=Lax$/);
  }
});
