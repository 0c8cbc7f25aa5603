import { expect, test } from 'vitest';
import { expressStore, type Store } from 'authkit-express';
import type { Browser } from '../support/browser.js';
import { FETCH, send } from '../support/browser.js';
import { mapStore } from '../support/map-store.js';
import { createTestApp, type Application } from '../support/app.js';

const at = ({ origin }: Application, cookie: string, path = '/account') =>
  send(origin + path, { headers: { ...FETCH, cookie } });

const cookieOf = ({ origin }: Application, browser: Browser) => browser.jar.getCookieString(origin);

type Done = (error?: unknown, value?: unknown) => unknown;

const cyclic: Record<string, unknown> = { cookie: {} };
cyclic['self'] = cyclic;

/** The status of a request whose session is read with such a `get`: signed in, anonymous, or an outage. */
type Outcome = 200 | 401 | 503;

const GETS: Record<string, [get: (done: Done, good: unknown) => unknown, expected: Outcome]> = {
  'answers undefined': [(done) => done(null, undefined), 401],
  'answers null': [(done) => done(null, null), 401],
  'answers a string': [(done) => done(null, 'text'), 401],
  'answers an array': [(done) => done(null, [1, 2]), 401],
  'answers a cyclic object': [(done) => done(null, cyclic), 401],
  'answers an object that throws when it is read': [
    (done) =>
      done(null, {
        get value() {
          throw new Error('no');
        },
      }),
    503,
  ],
  'answers an error': [(done) => done(new Error('down')), 503],
  'answers an error that is a string': [(done) => done('down'), 503],
  throws: [
    () => {
      throw new Error('sync');
    },
    503,
  ],
  'never answers': [() => undefined, 503],
  'returns a promise that rejects': [() => Promise.reject(new Error('down')), 503],
  'answers twice, the second time with something else': [
    (done) => {
      done(null, undefined);
      done(null, cyclic);
    },
    401,
  ],
  'answers twice, the second time with an error': [
    (done, good) => {
      done(null, good);
      done(new Error('late'));
    },
    200,
  ],
  'answers and then throws': [
    (done, good) => {
      done(null, good);
      throw new Error('late');
    },
    200,
  ],
  'answers by callback and by promise': [
    (done, good) => {
      done(null, good);
      return Promise.resolve(good);
    },
    200,
  ],
  'answers after the deadline': [(done, good) => void setTimeout(done, 300, null, good), 503],
};

/**
 * Short, because this is how long a request waits for a store that never answers. Signing in uses the default timeout.
 */
const SHORT = { timeout: 500 };

test.each(Object.entries(GETS))(
  'S04 an express-session store whose get %s',
  async (_, [broken, expected]) => {
    const entries = new Map<string, unknown>();
    let isBroken = false;
    const store = expressStore({
      get: (key: string, done: Done) =>
        isBroken ? broken(done, entries.get(key)) : done(null, entries.get(key)),
      set: (key: string, value: unknown, done: Done) => {
        entries.set(key, value);
        done();
      },
      destroy: (key: string, done: Done) => {
        entries.delete(key);
        done();
      },
    });
    const one = await createTestApp('express5', { authkit: { store, session: 'store' } });
    expect((await one.signIn()).status).toBe(200);
    const cookie = await cookieOf(one, one.browser);
    isBroken = true;
    const two = await one.sibling(SHORT);
    const guarded = await at(two, cookie);
    expect(guarded.status).toBe(expected);
    expect(two.served()).toBe(expected === 200 ? 1 : 0);
    expect(guarded.setCookies).toEqual([]);
    expect((await at(two, cookie, '/open')).status).toBe(200);
    isBroken = false;
    await expect.poll(async () => (await at(two, cookie)).status, { timeout: 5000 }).toBe(200);
  },
);

test.each([
  ['answers undefined', () => Promise.resolve(undefined), 401],
  ['answers null', () => Promise.resolve(null), 401],
  ['answers a string', () => Promise.resolve('text'), 503],
  ['answers an array', () => Promise.resolve([1]), 503],
  ['answers a cyclic object', () => Promise.resolve(cyclic), 503],
  ['rejects', () => Promise.reject(new Error('down')), 503],
  ['never answers', () => new Promise(() => undefined), 503],
  ['returns no promise', () => 'text', 503],
  [
    'throws',
    () => {
      throw new Error('sync');
    },
    503,
  ],
] as [string, () => unknown, Outcome][])(
  'S04 a store of the application whose get %s',
  async (_, get, expected) => {
    const good = mapStore();
    const one = await createTestApp('express5', { authkit: { store: good, session: 'store' } });
    expect((await one.signIn()).status).toBe(200);
    const two = await one.sibling({ ...SHORT, store: { ...good, get: get as Store['get'] } });
    const cookie = await cookieOf(one, one.browser);
    const guarded = await at(two, cookie);
    expect(guarded.status).toBe(expected);
    expect(guarded.setCookies).toEqual([]);
    expect(two.served()).toBe(0);
    expect(JSON.parse((await at(two, cookie, '/open')).body)).toMatchObject({ email: null });
    expect((await at(one, cookie)).status).toBe(200);
  },
);
