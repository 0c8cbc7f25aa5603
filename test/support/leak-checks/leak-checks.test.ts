import { createServer, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { expect, test, vi } from 'vitest';
import { send } from '../browser.js';
import { handedOut, look, watch } from './index.js';
import { Secrets } from './secrets.js';
import { checkOwnCookie, parseSetCookie } from './set-cookie.js';

const secret = 'rt_0123456789abcdefghijklmnopqrstuvwxyz';
const isOff = process.env['AUTHKIT_LEAK_CHECKS'] === 'off';

test('a secret is found as a whole, in part, and within other text', () => {
  const secrets = new Secrets();
  secrets.add('refresh_token', secret);
  secrets.add('short', 'abc');
  expect(secrets.in(`{"x":"${secret}"}`)).toEqual(['refresh_token']);
  expect(secrets.in(`…${secret.slice(9)}`)).toEqual(['refresh_token']);
  expect(secrets.in(`xx${secret}yy`)).toEqual(['refresh_token']);
  expect(secrets.in(`${secret.slice(0, 12)} abc`)).toEqual([]);
});

test.each([
  'a b=c',
  '=c',
  'a=c d',
  'a="c"',
  'a=é',
  'a=c;Path=/',
  'a=c; Path=/; Path=/',
  'a=c; Path=x',
  'a=c; Max-Age=-1',
  'a=c; Max-Age=99999999',
  'a=c; Max-Age=1.5',
  'a=c; SameSite=lax',
  'a=c; SameSite=None',
  'a=c; Secure=1',
  'a=c; Foo',
  'a=c; Domain=x y',
  'a=c; Domain=.example.com',
  '__Host-a=c; Secure; Path=/x',
  '__Host-a=c; Secure; Path=/; Domain=example.com',
  '__Secure-a=c; Path=/',
  `a=${'x'.repeat(4096)}`,
  'a=b, c=d; Path=/',
])('the strict cookie parser rejects %s', (line) => {
  expect(() => parseSetCookie(line)).toThrow('Set-Cookie');
});

test('the strict cookie parser accepts valid cookies, and cookies of the package have further requirements', () => {
  const cookie = parseSetCookie('wos-session=Fe26.2*1~2; Max-Age=5; Path=/; HttpOnly; Secure; SameSite=None');
  expect(cookie).toMatchObject({ name: 'wos-session', value: 'Fe26.2*1~2' });
  checkOwnCookie(cookie);
  for (const line of [
    'a=b',
    'a=b; Path=/; SameSite=Lax; Max-Age=1',
    'a=b; HttpOnly; SameSite=Lax; Max-Age=1',
  ])
    expect(() => {
      checkOwnCookie(parseSetCookie(line));
    }).toThrow();
});

test.skipIf(isOff)('responses and values passed to the application are searched', async () => {
  const session = `Fe26.2*1*${'a1b2c3d4'.repeat(20)}~2`;
  const server = createServer((req, res) => {
    if (req.url === '/moved') res.writeHead(307, { location: '/' }).end();
    else if (req.url === '/loose') res.writeHead(200, { 'set-cookie': 'wos-session=x; Path=/' }).end();
    else res.end(req.headers.cookie);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const found = async (path: string) => {
    await send(origin + path, { headers: { cookie: `wos-session=${session}` } });
    return look();
  };
  expect(await found('/echo')).toEqual([expect.stringMatching(/^session seal in the answer to GET \/echo/)]);
  expect(await found('/moved')).toEqual([expect.stringMatching(/^307 for GET/)]);
  expect(await found('/loose')).toEqual([expect.stringMatching(/is not HttpOnly/)]);
  handedOut(Object.assign(new Error('x'), { inner: { session } }));
  expect((await look()).length).toBeGreaterThan(0);
  process.stderr.write('');
  Object.defineProperty(Object.prototype, 'polluted', { value: 1, configurable: true });
  expect(await look()).toEqual(['a built-in prototype was changed']);
  delete (Object.prototype as Record<string, unknown>)['polluted'];
  expect(inspect(await look())).toBe('[]');
  server.closeAllConnections();
  server.close();
});

test.skipIf(isOff)('the checks of the next file in the same process replace those of this one', async () => {
  const end = Reflect.get(ServerResponse.prototype, 'end');
  const listeners = process.listenerCount('warning');
  vi.resetModules();
  const next = await import('./index.js');
  next.watch();
  process.emit('unhandledRejection', new Error('of the next file'), Promise.resolve());
  expect(await look()).toEqual([]);
  expect(await next.look()).toEqual([expect.stringContaining('of the next file')]);
  expect(Reflect.get(ServerResponse.prototype, 'end')).toBe(end);
  expect(process.listenerCount('warning')).toBe(listeners);
  watch();
  process.emit('unhandledRejection', new Error('of this file'), Promise.resolve());
  expect(await next.look()).toEqual([]);
  expect(await look()).toEqual([expect.stringContaining('of this file')]);
});
