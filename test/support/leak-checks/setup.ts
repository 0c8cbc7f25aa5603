import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { look, open, watch } from './index.js';

// Runs for other purposes, such as mutation testing, can turn the checks off.
if (process.env['AUTHKIT_LEAK_CHECKS'] !== 'off') {
  watch();
  let before: Record<string, number> = {};

  beforeAll(() => {
    before = open();
  });

  afterEach(async () => {
    expect(await look(), 'leak checks').toEqual([]);
  });

  afterAll(async () => {
    const left = () => Object.entries(open()).filter(([name, count]) => count > (before[name] ?? 0));
    // Sockets of closed servers take a moment to close.
    for (let tries = 0; tries < 100 && left().length > 0; tries += 1) await wait(20);
    expect(Object.fromEntries(left()), 'left open').toEqual({});
    expect(await look(), 'leak checks').toEqual([]);
  });
}
