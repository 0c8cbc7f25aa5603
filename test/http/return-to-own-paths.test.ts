import { expect, test } from 'vitest';
import { safeReturnTo } from '../../src/http/return-to.js';

const rules = {
  origin: 'https://app.example.com',
  origins: [],
  ownPaths: ['/logout', '/connect', '/connect/'],
};

test('T53 a returnTo does not name a route of this package in a spelling that a proxy resolves', () => {
  for (const path of [
    '/x/..%2flogout',
    '/x/%2e%2e%2Flogout/',
    '/.%2flogout',
    '/x/..%5clogout',
    '/logout%3fx=1',
    '/logout%23x',
    '/logout//',
    '/x/..%2fconnect/slack',
    '/connect%5cslack',
    '/.%2fCONNECT//slack',
    'https://app.example.com/x/..%2flogout',
  ])
    expect([path, safeReturnTo(path, rules)]).toEqual([path, undefined]);
});

test('a returnTo keeps dot segments and slashes that lead to another page', () => {
  for (const path of ['/x/..%2fy', '/a//b', '/logout/page', '/connected/slack', '/%C3%A9?next=/logout'])
    expect(safeReturnTo(path, rules)).toBe(path);
});
