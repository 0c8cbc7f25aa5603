import { describe, expect, test } from 'vitest';
import { safeReturnTo } from '../../src/http/return-to.js';
import { staysOn } from '../support/corpus-app.js';
import { fc, LONG, RUNS } from '../support/properties.js';

describe('returnTo', () => {
  const origin = 'https://app.example.com';
  const rules = { origin, origins: [], ownPaths: ['/auth/login', '/auth/callback', '/auth/logout'] };
  const piece = fc.oneof(
    fc.constantFrom(
      '/',
      '\\',
      '//',
      '.',
      '..',
      '%2f',
      '%5c',
      '%2e',
      '%09',
      '\t',
      '\n',
      '@',
      ':',
      '?',
      '#',
      ';',
      '%',
      '%25',
      'https:',
      'javascript:',
      'evil.example',
      'app.example.com',
      '／',
      '\u0000',
      '\ud800',
      '/auth/logout',
      ' ',
    ),
    fc.string({ unit: 'binary', maxLength: 4 }),
  );
  const anything = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.webUrl({ withFragments: true, withQueryParameters: true }),
    fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join('')),
    fc.array(piece, { maxLength: 8 }).map((pieces) => `/${pieces.join('')}`),
    fc.array(piece, { maxLength: 6 }).map((pieces) => origin + pieces.join('')),
  );

  test('is safe for any string, and stays the same if checked again', LONG, () => {
    let kept = 0;
    fc.assert(
      fc.property(anything, (value) => {
        const safe = safeReturnTo(value, rules);
        if (safe === undefined) return;
        kept += 1;
        staysOn(origin, safe);
        expect(safeReturnTo(safe, rules)).toBe(safe);
      }),
    );
    expect(kept).toBeGreaterThan(RUNS / 20);
  });

  test('is undefined for a value that is not a string, and never throws', LONG, () => {
    fc.assert(
      fc.property(fc.anything(), (value) => {
        if (typeof value !== 'string') expect(safeReturnTo(value, rules)).toBeUndefined();
      }),
    );
  });
});
