import { setTimeout as wait } from 'node:timers/promises';
import { expect } from 'vitest';
import type { Store } from 'authkit-express';

const MINUTE = 60_000;

/** Checks the requirements for every store. */
export async function expectStoreContract(store: Store): Promise<void> {
  expect((await store.get('a')) ?? undefined).toBeUndefined();
  await store.set('a', 'one', MINUTE);
  expect(await store.get('a')).toBe('one');
  expect(await store.add('a', 'two', MINUTE)).toBe(false);
  expect(await store.replace('a', 'two', 'three', MINUTE)).toBe(false);
  expect(await store.replace('a', 'one', 'three', MINUTE)).toBe(true);
  expect(await store.get('a')).toBe('three');
  expect(await store.replace('a', 'one', undefined, 0)).toBe(false);
  expect(await store.replace('a', 'three', undefined, 0)).toBe(true);
  expect((await store.get('a')) ?? undefined).toBeUndefined();
  expect(await store.replace('a', 'three', 'four', MINUTE)).toBe(false);
  expect(await store.add('a', 'ä ✓', MINUTE)).toBe(true);
  expect(await store.get('a')).toBe('ä ✓');
  await store.delete('a');
  expect((await store.get('a')) ?? undefined).toBeUndefined();
  // Long enough for a busy machine to write it, yet short enough to wait until it expires.
  expect(await store.add('brief', 'x', 400.5)).toBe(true);
  await store.set('short', 'x', 400.5);
  await gone(store, 'brief');
  await gone(store, 'short');
}

async function gone(store: Store, key: string): Promise<void> {
  while (((await store.get(key)) ?? undefined) !== undefined) await wait(50);
}
