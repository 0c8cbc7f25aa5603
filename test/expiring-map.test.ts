import { expect, test } from 'vitest';
import { expiringMap } from '../src/expiring-map.js';
import { sha256 } from '../src/sha256.js';

test('an entry expires after the lifetime of the map, or after its own', () => {
  let now = 1000;
  const map = expiringMap<true>({ max: 10, ttl: 100, now: () => now });
  map.set('usual', true);
  map.set('longer', true, { ttl: 200 });
  now += 100;
  expect([map.has('usual'), map.has('longer')]).toEqual([true, true]);
  now += 1;
  expect([map.has('usual'), map.has('longer')]).toEqual([false, true]);
  now += 100;
  expect(map.get('longer')).toBeUndefined();
});

test('without a lifetime entries stay until others need their place', () => {
  let now = 1000;
  const map = expiringMap<true>({ max: 2, now: () => now });
  map.set('a', true);
  now += 1e12;
  expect(map.has('a')).toBe(true);
  map.set('b', true);
  map.set('c', true);
  expect([map.has('a'), map.has('b'), map.has('c')]).toEqual([false, true, true]);
});

test('the sum of the sizes is limited, and what is larger than that is not kept', () => {
  const evicted: string[] = [];
  const map = expiringMap<{ bytes: number }>({
    now: () => 0,
    size: { max: 10, of: ({ bytes }) => bytes },
    onEvict: (key) => evicted.push(key),
  });
  map.set('a', { bytes: 6 });
  map.set('b', { bytes: 4 });
  expect(evicted).toEqual([]);
  map.set('c', { bytes: 1 });
  expect([evicted, map.size]).toEqual([['a'], 2]);
  map.set('d', { bytes: 11 });
  expect([map.has('d'), map.has('b'), map.has('c')]).toEqual([false, true, true]);
});

test('an entry that is replaced or deleted does not count as evicted', () => {
  const evicted: string[] = [];
  const map = expiringMap<true>({ max: 1, now: () => 0, onEvict: (key) => evicted.push(key) });
  map.set('a', true);
  map.set('a', true);
  map.delete('a');
  expect(evicted).toEqual([]);
  map.set('b', true);
  map.set('c', true);
  expect(evicted).toEqual(['b']);
});

test('a map takes no memory for entries that it does not have yet', () => {
  const used = () => process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
  const before = used();
  const maps = Array.from({ length: 200 }, () => expiringMap<true>({ max: 10_000, ttl: 1, now: () => 0 }));
  expect(used() - before).toBeLessThan(10 * 1_048_576);
  expect(maps).toHaveLength(200);
});

test('sha256 is SHA-256 of UTF-8 as base64url', () => {
  expect(sha256('abc')).toBe('ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0');
  expect(sha256('é')).toBe('SplVfkAzw1Od4utlRyAXytX5VX96BiWgnxw_biumnEw');
});
