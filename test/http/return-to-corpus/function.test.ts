import { expect, test } from 'vitest';
import { safeReturnTo } from '../../../src/http/return-to.js';
import { staysOn } from '../../support/corpus-app.js';
import { furtherRedirects } from '../../support/further-redirects.js';
import { goodAddresses, hostileAddresses } from '../../support/generated/redirects.js';
import { tryAll } from '../../support/tally.js';

test('safeReturnTo keeps no further row that leaves the origin', async (context) => {
  const origin = 'https://app.example.com';
  const ownPaths = ['/auth/login', '/auth/callback', '/auth/logout'];
  const rules = { origin, origins: [], ownPaths };
  const name = { corpus: 'open-redirect, further', on: 'function' };
  await tryAll(context, name, furtherRedirects(), ({ input }) => {
    const safe = safeReturnTo(input, rules);
    if (safe === undefined) return 1;
    staysOn(origin, safe);
    expect(safeReturnTo(safe, rules)).toBe(safe);
    return 1;
  });
});

test('safeReturnTo keeps no generated row that leaves the origin, and keeps addresses of this site unchanged', async (context) => {
  const origin = 'https://app.example.com';
  const rules = { origin, origins: [], ownPaths: ['/auth/login', '/auth/callback', '/auth/logout'] };
  const good = new Set(goodAddresses(2000));
  const rows = [...hostileAddresses(4000), ...good];
  await tryAll(context, { corpus: 'open-redirect, made', on: 'function' }, rows, (row) => {
    const input = row.input.replace('@@ORIGIN@@', origin);
    const safe = safeReturnTo(input, rules);
    if (safe === undefined) {
      expect(good.has(row), input).toBe(false);
      return 1;
    }
    staysOn(origin, safe);
    expect(safeReturnTo(safe, rules)).toBe(safe);
    expect(new URL(safe, `${origin}/auth/callback`).href).toBe(new URL(input, origin).href);
    return 1;
  });
});
