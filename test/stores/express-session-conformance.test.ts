import { setTimeout as wait } from 'node:timers/promises';
import session, { MemoryStore } from 'express-session';
import createMemoryStore from 'memorystore';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { expressStore } from 'authkit-express';
import { testStore } from 'authkit-express/testing';

const MINUTE = 60_000;

/** Two processes that share a session store, which keeps entries until they are destroyed. */
function twoProcesses() {
  const map = new Map<string, string>();
  const backing = {
    get: (id: string, done: (error: null, entry: unknown) => void) => {
      const text = map.get(id);
      done(null, text === undefined ? undefined : JSON.parse(text));
    },
    set: (id: string, entry: unknown, done: (error: null) => void) => {
      map.set(id, JSON.stringify(entry));
      done(null);
    },
    destroy: (id: string, done: (error: null) => void) => {
      map.delete(id);
      done(null);
    },
  };
  return { map, one: expressStore(backing), two: expressStore(backing) };
}

/** Runs a call with this machine's wall clock shifted. */
async function skewed<T>(by: number, call: () => Promise<T>): Promise<T> {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + by });
  try {
    return await call();
  } finally {
    vi.useRealTimers();
  }
}

test('does what authkit() relies on, over the stores of express-session and memorystore', async () => {
  await testStore(expressStore(new MemoryStore()));
  const Memory = createMemoryStore(session);
  await testStore(expressStore(new Memory({})));
});

test('a session store that fails makes every method reject', async () => {
  const fail = (...args: unknown[]) => {
    (args.at(-1) as (error: Error) => void)(new Error('down'));
  };
  const failing = expressStore({ get: fail, set: fail, destroy: fail });
  await testStore(expressStore(new MemoryStore()), { unavailable: failing });
});

describe('a lock of another process whose clock differs', () => {
  test.each([-45_000, -5000, 5000, 45_000])('by %i ms is respected', async (skew) => {
    const { one, two } = twoProcesses();
    expect(await one.add('lock', 'mine', 2500)).toBe(true);
    expect(await skewed(skew, () => two.add('lock', 'theirs', 2500))).toBe(false);
    expect(await skewed(skew, () => two.get('lock'))).toBe('mine');
  });

  test.each([-45_000, 5000])(
    'by %i ms expires after its time by the clock of the process that waits',
    async (skew) => {
      const { one, two } = twoProcesses();
      await one.add('lock', 'mine', 100);
      expect(await skewed(skew, () => two.get('lock'))).toBe('mine');
      await expect
        .poll(() => skewed(skew, () => two.add('lock', 'theirs', 100)), { interval: 10 })
        .toBe(true);
    },
  );

  test('is respected for as long as its holder extends it', async () => {
    const { one, two } = twoProcesses();
    await one.add('lock', 'mine', 300);
    for (let times = 0; times < 6; times += 1) {
      expect(await one.replace('lock', 'mine', 'mine', 300)).toBe(true);
      expect(await skewed(5000, () => two.add('lock', 'theirs', 300))).toBe(false);
      await wait(100);
    }
  });

  test('that was left long ago is not waited for', async () => {
    const { one, two } = twoProcesses();
    await one.add('lock', 'mine', 2500);
    expect(await skewed(10 * MINUTE, () => two.add('lock', 'theirs', 2500))).toBe(true);
  });
});

test('an expired entry is not returned, even if the session store ignores when a session expires', async () => {
  const { one, two, map } = twoProcesses();
  await one.set('brief', 'x', 20);
  expect(await two.get('brief')).toBe('x');
  await wait(30);
  expect(map.size).toBe(1);
  expect(await one.get('brief')).toBeUndefined();
  expect(await two.get('brief')).toBeUndefined();
  await one.set('long', 'x', 10 * MINUTE);
  expect(await skewed(9 * MINUTE, () => one.get('long'))).toBe('x');
  expect(await skewed(11 * MINUTE, () => one.get('long'))).toBeUndefined();
});

test('a session store that compares with its own clock keeps a lock long enough', async () => {
  const { one, map } = twoProcesses();
  await one.add('lock', 'mine', 2500);
  const [text] = [...map.values()];
  const { cookie } = JSON.parse(text!) as { cookie: { expires: string; maxAge: number } };
  expect(Date.parse(cookie.expires)).toBeGreaterThan(Date.now() + 45_000);
  expect(cookie.maxAge).toBeGreaterThan(45_000);
});

test('what fails in one operation on a key does not stop the next one', async () => {
  let isDown = true;
  const map = new Map<string, unknown>();
  const store = expressStore({
    get: (id: string, done: (error: Error | null, entry?: unknown) => void) => {
      done(isDown ? new Error('down') : null, map.get(id));
    },
    set: (id: string, entry: unknown, done: (error: null) => void) => {
      map.set(id, entry);
      done(null);
    },
    destroy: () => undefined,
  });
  onTestFinished(() => void (isDown = false));
  await expect(store.add('a', 'x', MINUTE)).rejects.toThrow('down');
  isDown = false;
  expect(await store.add('a', 'x', MINUTE)).toBe(true);
});
