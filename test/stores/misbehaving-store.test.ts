import { expect, test } from 'vitest';
import { expressStore, type Store } from 'authkit-express';
import type { Browser } from '../support/browser.js';
import { FETCH, send } from '../support/browser.js';
import { createTestApp, type Application } from '../support/app.js';

const at = ({ origin }: Application, cookie: string, path = '/account') =>
  send(origin + path, { headers: { ...FETCH, cookie } });

const cookieOf = ({ origin }: Application, browser: Browser) => browser.jar.getCookieString(origin);

type Done = (error?: unknown, value?: unknown) => unknown;

const cyclic: Record<string, unknown> = { cookie: {} };
cyclic['self'] = cyclic;

const GETS: Record<string, (done: Done, good: unknown) => unknown> = {
  undefined: (done) => done(null, undefined),
  null: (done) => done(null, null),
  'a string': (done) => done(null, 'text'),
  'an array': (done) => done(null, [1, 2]),
  'a cycle': (done) => done(null, cyclic),
  'an object that throws when it is read': (done) =>
    done(null, {
      get value() {
        throw new Error('no');
      },
    }),
  'an error': (done) => done(new Error('down')),
  'what is no error': (done) => done('down'),
  'nothing, and throws': () => {
    throw new Error('sync');
  },
  'nothing, ever': () => undefined,
  'a promise that rejects': () => Promise.reject(new Error('down')),
  'twice, the second time something else': (done) => {
    done(null, undefined);
    done(null, cyclic);
  },
  'twice, the second time an error': (done, good) => {
    done(null, good);
    done(new Error('late'));
  },
  'and throws afterwards': (done, good) => {
    done(null, good);
    throw new Error('late');
  },
  'by callback and by promise': (done, good) => {
    done(null, good);
    return Promise.resolve(good);
  },
  'late, after the deadline': (done, good) => void setTimeout(done, 300, null, good),
};

test.each(Object.keys(GETS))(
  'S04 a store whose get answers %s: signed in, anonymous or 503',
  async (name) => {
    const entries = new Map<string, unknown>();
    let isBroken = false;
    const store = expressStore({
      get: (key: string, done: Done) =>
        isBroken ? GETS[name]!(done, entries.get(key)) : done(null, entries.get(key)),
      set: (key: string, value: unknown, done: Done) => {
        entries.set(key, value);
        done();
      },
      destroy: (key: string, done: Done) => {
        entries.delete(key);
        done();
      },
    });
    const one = await createTestApp('express5', { authkit: { store, session: 'store', timeout: 500 } });
    await one.signIn();
    const cookie = await cookieOf(one, one.browser);
    isBroken = true;
    const two = await one.sibling();
    const guarded = await at(two, cookie);
    expect([200, 401, 503]).toContain(guarded.status);
    expect(two.served()).toBe(guarded.status === 200 ? 1 : 0);
    expect(guarded.setCookies).toEqual([]);
    expect((await at(two, cookie, '/open')).status).toBe(200);
    isBroken = false;
    await expect.poll(async () => (await at(two, cookie)).status, { timeout: 5000 }).toBe(200);
  },
);

test.each([
  ['undefined', () => Promise.resolve(undefined)],
  ['null', () => Promise.resolve(null)],
  ['a string', () => Promise.resolve('text')],
  ['an array', () => Promise.resolve([1])],
  ['a cycle', () => Promise.resolve(cyclic)],
  ['a rejection', () => Promise.reject(new Error('down'))],
  ['nothing, ever', () => new Promise(() => undefined)],
  ['no promise', () => 'text'],
  [
    'nothing, and throws',
    () => {
      throw new Error('sync');
    },
  ],
] as [string, () => unknown][])(
  'S04 a store of one’s own whose get answers %s: anonymous or 503',
  async (_name, get) => {
    const entries = new Map<string, string>();
    const good: Store = {
      get: async (key) => entries.get(key),
      set: async (key, value) => entries.set(key, value),
      add: async (key, value) => !entries.has(key) && !!entries.set(key, value),
      replace: async () => true,
      delete: async (key) => entries.delete(key),
    };
    const one = await createTestApp('express5', { authkit: { store: good, session: 'store', timeout: 500 } });
    await one.signIn();
    const two = await one.sibling({ store: { ...good, get: get as Store['get'] } });
    const cookie = await cookieOf(one, one.browser);
    const guarded = await at(two, cookie);
    expect([401, 503]).toContain(guarded.status);
    expect(guarded.setCookies).toEqual([]);
    expect(two.served()).toBe(0);
    expect(JSON.parse((await at(two, cookie, '/open')).body)).toMatchObject({ email: null });
  },
);
