import { expect, test } from 'vitest';
import { NAVIGATION, send, FETCH } from '../support/browser.js';
import { createTestApp } from '../support/app.js';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createCookies, type CookieConfig } from '../../src/http/cookies.js';

const LATER = 600_000;

test('B06 with an http redirect URI, cookies are not Secure and have no prefix', async () => {
  const { origin } = await createTestApp('express5');
  expect((await send(`${origin}/login`, { headers: NAVIGATION })).setCookies[0]).not.toMatch(/Secure|^__/);
});

const EPOCH = 'Expires=Thu, 01 Jan 1970 00:00:00 GMT';

test.each<[options: Partial<CookieConfig>, attributes: string]>([
  [{}, 'Path=/; HttpOnly; SameSite=Lax'],
  [{ sameSite: 'strict' }, 'Path=/; HttpOnly; SameSite=Strict'],
  [{ name: 'sid', secure: true }, 'Path=/; HttpOnly; Secure; SameSite=Lax'],
  [{ domain: 'example.com', secure: true }, 'Domain=example.com; Path=/; HttpOnly; Secure; SameSite=Lax'],
  [{ sameSite: 'none', secure: true }, 'Path=/; HttpOnly; Secure; SameSite=None'],
  [{ path: '/app' }, 'Path=/app; HttpOnly; SameSite=Lax'],
  [
    { sameSite: 'none', secure: true, partitioned: true },
    'Path=/; HttpOnly; Secure; Partitioned; SameSite=None',
  ],
])(
  'K04 a session cookie of %j is set and cleared with %s, in one piece or in several',
  async (options, attributes) => {
    const { setSession, clearSession } = createCookies(
      {
        name: 'wos-session',
        domain: undefined,
        path: '/',
        sameSite: 'lax',
        partitioned: false,
        maxAge: 9,
        endsWithBrowser: false,
        secure: false,
        ...options,
      },
      600,
    );
    const linesOf = async (size: number, act: typeof setSession, cookie = '') => {
      const server = createServer((req: IncomingMessage, res: ServerResponse) => {
        act(req, res, 'x'.repeat(size), () => true);
        res.end();
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
      const { setCookies } = await send(address, { headers: cookie === '' ? {} : { cookie } });
      server.close();
      // With a domain, host-only cookies are cleared too.
      return setCookies.filter((line) => options.domain === undefined || line.includes('; Domain='));
    };
    const name = options.name ?? 'wos-session';
    const linesSet = async (size: number) =>
      (await linesOf(size, setSession)).filter((line) => !line.includes('; Max-Age=0;'));
    expect(await linesSet(10)).toEqual([`${name}=xxxxxxxxxx; Max-Age=9; ${attributes}`]);
    const pieces = await linesSet(6000);
    expect(pieces.length).toBeGreaterThan(1);
    for (const [index, line] of pieces.entries())
      expect(line.replace(/=x+;/, '=;')).toBe(`${name}.${index}=; Max-Age=9; ${attributes}`);
    const sent = pieces.map((line) => line.split(';', 1)[0]).join('; ');
    const clear: typeof setSession = (req, res) => {
      clearSession(req, res);
    };
    const cleared = await linesOf(0, clear, `${name}=x; ${sent}`);
    expect(cleared).toEqual(
      [name, ...pieces.map((_, index) => `${name}.${index}`)].map(
        (one) => `${one}=; Max-Age=0; ${attributes.replace(/Path=[^;]+;/, `$& ${EPOCH};`)}`,
      ),
    );
  },
);

test('T10 cookies have HttpOnly, Path and SameSite, and Secure with an https redirect URI', async () => {
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
    expect(lines[0]).toMatch(/^wos-session=.*; Path=\/;(?: Expires=[^;]+;)? HttpOnly; Secure; SameSite=Lax$/);
  }
});
