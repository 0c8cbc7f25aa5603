import type { IncomingMessage } from 'node:http';
import { describe, expect, test } from 'vitest';
import { header, isCrossSite, isNavigation, isScripted, isWebSocketUpgrade } from '../../src/http/request.js';

const request = (headers: Record<string, string>) => ({ headers }) as unknown as IncomingMessage;

describe('isCrossSite', () => {
  const own = 'https://app.example.com';
  const config = (sameSite: 'lax' | 'strict' | 'none') => ({
    returnToRules: { origin: own },
    trustedOrigins: ['https://admin.example.com'],
    cookie: { sameSite },
  });
  test.each<[origin: string | undefined, site: string | undefined, isCross: boolean]>([
    [undefined, undefined, false],
    [undefined, 'same-origin', false],
    [undefined, 'none', false],
    [undefined, 'same-site', true],
    [undefined, 'cross-site', true],
    [undefined, 'nonsense', true],
    [own, undefined, false],
    [own, 'same-origin', false],
    [own, 'cross-site', true],
    ['https://evil.example', undefined, true],
    ['https://evil.example', 'same-origin', true],
    ['https://evil.example', 'none', true],
    ['https://admin.example.com', 'cross-site', false],
    ['https://admin.example.com', undefined, false],
    ['https://admin.example.com.evil.example', 'same-origin', true],
    ['null', 'same-origin', false],
    ['null', 'none', false],
    ['null', 'cross-site', true],
    ['null', 'same-site', true],
    ['', undefined, true],
  ])('Origin %s with Sec-Fetch-Site %s: %s', (origin, site, isCross) => {
    const req = request({
      ...(origin === undefined ? {} : { origin }),
      ...(site === undefined ? {} : { 'sec-fetch-site': site }),
    });
    for (const sameSite of ['lax', 'strict', 'none'] as const)
      expect(isCrossSite(req, config(sameSite))).toBe(isCross);
  });

  test('Origin null without Fetch Metadata counts as not said while SameSite keeps other sites out', () => {
    const req = request({ origin: 'null' });
    expect(isCrossSite(req, config('lax'))).toBe(false);
    expect(isCrossSite(req, config('strict'))).toBe(false);
    expect(isCrossSite(req, config('none'))).toBe(true);
  });
});

test('X-Requested-With means a script only with the value XMLHttpRequest', () => {
  const accept = 'text/html,application/xhtml+xml';
  for (const value of ['com.example.app', '', 'x', 'XMLHttpRequest2']) {
    expect(isNavigation(request({ accept, 'x-requested-with': value }))).toBe(true);
    expect(isScripted(request({ accept, 'x-requested-with': value }))).toBe(false);
  }
  expect(isNavigation(request({ accept, 'x-requested-with': 'XMLHttpRequest' }))).toBe(false);
  expect(isScripted(request({ 'x-requested-with': 'xmlhttprequest' }))).toBe(true);
});

test('an upgrade to WebSocket is recognised in a list and in any case', () => {
  for (const upgrade of ['websocket', 'WebSocket', 'h2c, websocket', ' websocket ']) {
    expect(isWebSocketUpgrade(request({ upgrade }))).toBe(true);
  }
  for (const upgrade of ['h2c', '', 'websocket2'])
    expect(isWebSocketUpgrade(request({ upgrade }))).toBe(false);
  expect(isWebSocketUpgrade(request({}))).toBe(false);
});

test('an extended CONNECT request of HTTP/2 is recognised as a WebSocket', () => {
  expect(isWebSocketUpgrade(request({ ':method': 'CONNECT', ':protocol': 'websocket' }))).toBe(true);
  expect(isWebSocketUpgrade(request({ ':method': 'CONNECT', ':protocol': 'WebSocket' }))).toBe(true);
  expect(isWebSocketUpgrade(request({ ':method': 'CONNECT', ':protocol': 'connect-udp' }))).toBe(false);
  expect(isWebSocketUpgrade(request({ ':method': 'GET' }))).toBe(false);
});

test('the items of a header that is a list are joined as the header requires', () => {
  const lists = { cookie: ['a=1', 'b=2'], origin: ['https://a.example', 'https://b.example'] };
  const req = { headers: lists } as unknown as IncomingMessage;
  expect(header(req, 'cookie')).toBe('a=1; b=2');
  expect(header(req, 'origin')).toBe('https://a.example, https://b.example');
});

test('a header is an own property', () => {
  const inherited = Object.create({ cookie: 'a=b' }) as Record<string, string>;
  expect(header(request(inherited), 'cookie')).toBeUndefined();
  expect(header(request({ cookie: 'a=b' }), 'cookie')).toBe('a=b');
});
