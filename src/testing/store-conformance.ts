import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Store } from '../stores/index.js';

export interface TestStoreOptions {
  /**
   * A second store of the same kind that is unavailable, such as one whose client is closed. If this store is given,
   * `testStore` also checks that all its methods reject.
   */
  unavailable?: Store;
}

/**
 * The time to live of values that expire during the checks, in milliseconds. It is longer than a store call takes, but
 * short enough to wait for. It is not an integer, because a store must accept fractions.
 */
const BRIEF = 400.5;

const MINUTE = 60_000;

/** How long to wait for an expired value to disappear, in milliseconds. */
const EXPIRY_LIMIT = 10_000;

/** The number of concurrent calls in each atomicity check. */
const CONCURRENT = 20;

/** Length of the longest value that this package stores, in characters. That value is a session with large tokens. */
const LONGEST = 256 * 1024;

/**
 * Checks one aspect of a store, with keys from `key`, which returns a new key on each call. Returns each promise that a
 * store makes, and whether it is met.
 */
type Check = (
  store: Store,
  key: () => string,
) => Promise<readonly (readonly [isMet: boolean, promise: string])[]>;

/**
 * Checks that a store behaves as `authkit({ store })` requires. The check uses random keys, deletes them afterwards,
 * and takes about two seconds.
 *
 * @throws {Error} If the store fails a check. The message lists all failed checks.
 * @example
 * test('my store', () => testStore(myStore(client)));
 */
export async function testStore(store: Store, { unavailable }: TestStoreOptions = {}): Promise<void> {
  const missing = ['get', 'set', 'add', 'replace', 'delete'].filter(
    (name) => typeof (store as unknown as Record<string, unknown> | null | undefined)?.[name] !== 'function',
  );
  if (missing.length > 0) throw new Error(`the store has no ${missing.join(', ')}`);
  const keys: string[] = [];
  const newKey = () => {
    // The key is as long as the longest key that this package uses.
    const key = `test:${randomUUID()}:${'k'.repeat(64)}`;
    keys.push(key);
    return key;
  };
  const results = await Promise.all(
    Object.entries(CHECKS).map(([name, check]) => failuresOf(name, () => check(store, newKey))),
  );
  await Promise.allSettled(keys.map((key) => store.delete(key)));
  const failures = [...results.flat(), ...(unavailable ? await notRejecting(unavailable) : [])];
  if (failures.length === 0) return;
  throw new Error(
    `the store does not work as authkit() needs it:${failures.map((text) => `\n  - ${text}`).join('')}`,
  );
}

async function failuresOf(name: string, run: () => ReturnType<Check>): Promise<string[]> {
  try {
    return (await run()).filter(([isMet]) => !isMet).map(([, promise]) => `${name}: ${promise}`);
  } catch (error) {
    return [`${name}: a method failed with ${error instanceof Error ? error.message : typeof error}`];
  }
}

const valueIn = async (store: Store, key: string) => (await store.get(key)) ?? undefined;

const CHECKS: Readonly<Record<string, Check>> = {
  async values(store, newKey) {
    const [key, text, long] = [newKey(), newKey(), newKey()];
    const before = await valueIn(store, key);
    await store.set(key, 'one', MINUTE);
    const set = await store.get(key);
    await store.set(key, 'two', MINUTE);
    const overwritten = await store.get(key);
    await store.delete(key);
    const deleted = await valueIn(store, key);
    await store.delete(key);
    await store.set(text, ' ä ✓ \n"\' 😀 ', MINUTE);
    const longest = '0123456789abcdef'.repeat(LONGEST / 16);
    await store.set(long, longest, MINUTE);
    return [
      [before === undefined, 'get() of a key without a value returns null or undefined'],
      [set === 'one', 'get() returns the string that set() stored'],
      [overwritten === 'two', 'set() replaces a value'],
      [deleted === undefined, 'delete() deletes a value'],
      [(await store.get(text)) === ' ä ✓ \n"\' 😀 ', 'any text is returned as it was stored'],
      [(await store.get(long)) === longest, `a value of ${LONGEST} characters is returned as it was stored`],
    ];
  },

  async add(store, newKey) {
    const key = newKey();
    const first = await store.add(key, 'one', MINUTE);
    const second = await store.add(key, 'two', MINUTE);
    const same = await store.add(key, 'one', MINUTE);
    const kept = await store.get(key);
    await store.delete(key);
    const again = await store.add(key, 'three', MINUTE);
    return [
      [isExactly(first, true), 'returns true if the key had no value'],
      [isExactly(second, false) && isExactly(same, false), 'returns false if the key has a value'],
      [kept === 'one', 'does not change a value'],
      [isExactly(again, true), 'returns true after the value was deleted'],
    ];
  },

  async replace(store, newKey) {
    const [key, missing] = [newKey(), newKey()];
    await store.set(key, 'one', MINUTE);
    const other = await store.replace(key, 'two', 'three', MINUTE);
    const otherDeleted = await store.replace(key, 'two', undefined, 0);
    const kept = await store.get(key);
    const replaced = await store.replace(key, 'one', 'three', MINUTE);
    const next = await store.get(key);
    const deleted = await store.replace(key, 'three', undefined, 0);
    return [
      [
        isExactly(other, false) && isExactly(otherDeleted, false),
        'returns false if the value is another one',
      ],
      [kept === 'one', 'does not change another value'],
      [isExactly(replaced, true), 'returns true if the value was the expected one'],
      [next === 'three', 'stores the new value'],
      [isExactly(deleted, true), 'returns true if it deleted the expected value'],
      [(await valueIn(store, key)) === undefined, 'deletes the value if the new one is undefined'],
      [isExactly(await store.replace(missing, 'one', 'two', MINUTE), false), 'returns false without a value'],
      [(await valueIn(store, missing)) === undefined, 'does not add a value'],
    ];
  },

  async expiry(store, newKey) {
    const [set, added, extended, replaced, lasting] = [newKey(), newKey(), newKey(), newKey(), newKey()];
    await store.set(set, 'one', BRIEF);
    const wasAdded = await store.add(added, 'one', BRIEF);
    await store.set(extended, 'one', BRIEF);
    await store.set(extended, 'two', MINUTE);
    await store.set(replaced, 'one', BRIEF);
    const wasReplaced = await store.replace(replaced, 'one', 'one', MINUTE);
    await store.set(lasting, 'one', 400 * 86_400_000);
    const isSetGone = await isGone(store, set);
    const isAddedGone = await isGone(store, added);
    return [
      [isExactly(wasAdded, true) && isAddedGone, 'a value that add() stored expires'],
      [isSetGone, 'a value that set() stored expires'],
      [
        isExactly(await store.replace(set, 'one', 'two', MINUTE), false),
        'replace() does not see an expired value',
      ],
      [isExactly(await store.add(added, 'two', MINUTE), true), 'add() replaces an expired value'],
      [(await store.get(extended)) === 'two', 'set() sets a new time to live'],
      [
        isExactly(wasReplaced, true) && (await store.get(replaced)) === 'one',
        'replace() sets a new time to live',
      ],
      [(await store.get(lasting)) === 'one', 'a value can live for 400 days'],
    ];
  },

  async atomicity(store, newKey) {
    const [added, replaced] = [newKey(), newKey()];
    const values = Array.from({ length: CONCURRENT }, (_, index) => `value ${index}`);
    const adds = await Promise.all(values.map((value) => store.add(added, value, MINUTE)));
    await store.set(replaced, 'first', MINUTE);
    const replaces = await Promise.all(
      values.map((value) => store.replace(replaced, 'first', value, MINUTE)),
    );
    const isOne = (results: readonly unknown[]) => results.filter((result) => result === true).length === 1;
    const winner = (results: readonly unknown[]) => values[results.indexOf(true)];
    return [
      [isOne(adds), `add() returns true to one of ${CONCURRENT} calls at the same time`],
      [(await store.get(added)) === winner(adds), 'the value is that of the add() that returned true'],
      [isOne(replaces), `replace() returns true to one of ${CONCURRENT} calls at the same time`],
      [
        (await store.get(replaced)) === winner(replaces),
        'the value is that of the replace() that returned true',
      ],
    ];
  },
};

/**
 * Compares strictly, because a store's method may resolve to a value that is not a boolean, even if its type does not
 * allow that.
 */
function isExactly(value: unknown, expected: boolean): boolean {
  return value === expected;
}

async function isGone(store: Store, key: string): Promise<boolean> {
  const until = performance.now() + EXPIRY_LIMIT;
  while (performance.now() < until) {
    if ((await valueIn(store, key)) === undefined) return true;
    await pause(50);
  }
  return false;
}

/**
 * Checks that every method rejects if the store is unavailable, and returns a message for each method that does not. If
 * an outage looked like a missing value, users would be signed out.
 */
async function notRejecting(store: Store): Promise<string[]> {
  const calls: Readonly<Record<keyof Store, () => Promise<unknown>>> = {
    get: () => store.get('test'),
    set: () => store.set('test', 'one', MINUTE),
    add: () => store.add('test', 'one', MINUTE),
    replace: () => store.replace('test', 'one', 'two', MINUTE),
    delete: () => store.delete('test'),
  };
  const failures: string[] = [];
  for (const [name, call] of Object.entries(calls)) {
    try {
      await call();
      failures.push(`errors: ${name}() does not reject if the store is unavailable`);
    } catch {
      // The method rejects, as it should.
    }
  }
  return failures;
}
