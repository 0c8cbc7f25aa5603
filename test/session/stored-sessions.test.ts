import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { RefreshedSession } from '../../src/session/refresh-at-workos.js';
import { openSession, sealSession, type Session, toSession } from '../../src/session/sealed-session.js';
import {
  createSessionIds,
  createStoredSessions,
  type StoreUnavailable,
} from '../../src/session/sessions-in-store.js';
import { sha256 } from '../../src/sha256.js';
import type { Store } from '../../src/stores/index.js';
import { createSignedStore, deriveKey } from '../../src/stores/signed-store.js';
import { PASSWORDS, tokenOf } from '../support/authenticator.js';
import { mapStore } from '../support/map-store.js';

const OTHER_PASSWORDS = ['another-password-for-tests-and-for-nothing'] as const;

const REFERENCE = { id: 'id_1', sessionId: 'session_1', issuedAt: 1000 };

function sessionWith(refreshToken: string, claims: object = {}): Session {
  const accessToken = tokenOf({ sub: 'user_1', sid: 'session_1', iat: 1000, ...claims });
  return toSession({ accessToken, refreshToken, user: { id: 'user_1' } as Session['user'] }, {});
}

async function refreshedTo(refreshToken: string): Promise<RefreshedSession> {
  const session = sessionWith(refreshToken, { iat: 2000 });
  const sealed = await sealSession(session, PASSWORDS[0]);
  return { kind: 'refreshed', organization: '', session, sealed };
}

const signedStore = (store: Store) =>
  createSignedStore({ store, clientId: 'client_1', passwords: PASSWORDS, timeout: 10_000 });

/** Starts a process. `sealedWith` is the password for the sessions in the store. */
function startProcess(store: Store, sealedWith: readonly [string] = PASSWORDS) {
  const stored = createStoredSessions({
    store: signedStore(store),
    open: (sealed) => openSession(sealed, sealedWith, Date.now()),
    seal: (session) => sealSession(session, sealedWith[0]),
    lifetime: 86_400_000,
  });
  /** Finds the session of `REFERENCE`. */
  const found = async (issuedAt = REFERENCE.issuedAt): Promise<Session> => {
    const session = await stored.find({ ...REFERENCE, issuedAt });
    if ('kind' in session) throw new Error(`the session was not found: ${session.kind}`);
    return session;
  };
  return {
    ...stored,
    found,
    /** Returns the refresh token in the store. */
    refreshToken: async () => (await found()).refreshToken,
  };
}

/** A store with one session, whose refresh token is `rt_1`. */
async function withSession() {
  const map = new Map<string, string>();
  const store = mapStore(map);
  await startProcess(store).add(REFERENCE.id, sessionWith('rt_1'));
  return { map, store };
}

const fails = () => Promise.reject(new Error('down'));

describe('finding a session', () => {
  test('only a missing session is looked up again, because the store may be a replica', async () => {
    const { store } = await withSession();
    let reads = 0;
    const get = async (key: string) => {
      reads += 1;
      return reads > 3 ? store.get(key) : undefined;
    };
    const { find } = startProcess({ ...store, get });
    expect(await find(REFERENCE)).toEqual({ kind: 'not_found' });
    expect(reads).toBe(2);
    for (const expected of [4, 5]) {
      expect(await find(REFERENCE)).toMatchObject({ refreshToken: 'rt_1' });
      expect(reads).toBe(expected);
    }
  });

  test.each([
    ['the store is unavailable', 'store', async () => ({ ...mapStore(), get: fails })],
    [
      'the entry was altered',
      'store_entry',
      async () => {
        const { map, store } = await withSession();
        for (const [key, text] of map) map.set(key, `${text}x`);
        return store;
      },
    ],
    [
      'the entry was sealed with an unknown password',
      'store_entry',
      async () => {
        const store = mapStore();
        await startProcess(store, OTHER_PASSWORDS).add(REFERENCE.id, sessionWith('rt_1'));
        return store;
      },
    ],
  ])('if %s, only the content of the cookie is known', async (_, why, storeOf) => {
    const { find } = startProcess(await storeOf());
    const { id, sessionId } = REFERENCE;
    const idHash = sha256(`client_1\0session\0${id}`);
    expect(await find(REFERENCE)).toEqual({ kind: 'unavailable', why, reference: { idHash, sessionId } });
  });

  test('a session that is older than its cookie is outdated', async () => {
    const { store } = await withSession();
    const { found, find, isOutdated } = startProcess(store);
    expect(isOutdated(await found(999))).toBe(false);
    expect(isOutdated(await found(1000))).toBe(false);
    expect(isOutdated(await found(1001))).toBe(true);
    // Earlier releases did not write the time into the cookie.
    expect(isOutdated((await find({ ...REFERENCE, issuedAt: undefined })) as Session)).toBe(false);
    expect(isOutdated(sessionWith('rt_1'))).toBe(false);
  });
});

describe('deleting a session', () => {
  test('removes it from the store, also if it could not be read', async () => {
    for (const isRead of [true, false]) {
      const { map, store } = await withSession();
      const process = startProcess(store);
      const { find } = startProcess({ ...store, get: fails });
      await process.delete(isRead ? await process.found() : ((await find(REFERENCE)) as StoreUnavailable));
      expect(map.size).toBe(0);
    }
  });

  test('that is not in the store does not call the store', async () => {
    const { map, store } = await withSession();
    let calls = 0;
    const process = startProcess({ ...store, delete: async () => (calls += 1) });
    await process.delete(sessionWith('rt_1'));
    expect(calls).toBe(0);
    expect(map.size).toBe(1);
  });

  test('that has not been read cannot delete entries of other kinds', async () => {
    const { map, store } = await withSession();
    await signedStore(store).put('ended', 'session_1', 'ended at 1', 1000);
    const hashes = [...map.keys()].map((key) => key.slice(key.indexOf(':') + 1));
    for (const idHash of [...map.keys(), hashes[1]!])
      await startProcess(store).delete({ kind: 'unavailable', reference: { idHash, sessionId: undefined } });
    expect(map.size).toBe(2);
    await startProcess(store).delete({
      kind: 'unavailable',
      reference: { idHash: hashes[0], sessionId: undefined },
    });
    expect([...map.keys()]).toEqual([expect.stringMatching(/^ended:/)]);
  });
});

describe('restoring an outdated session', () => {
  test('writes the newer version, which can then be refreshed', async () => {
    const { store } = await withSession();
    const { found, idOf, replace, restore } = startProcess(store);
    const restored = await restore(await found(), await refreshedTo('rt_2'));
    expect(restored).toMatchObject({ refreshToken: 'rt_2' });
    expect(idOf(restored)).toBe(REFERENCE.id);
    expect(await replace(REFERENCE.id, restored, await refreshedTo('rt_3'))).toBe('ok');
    expect(await startProcess(store).refreshToken()).toBe('rt_3');
  });

  test('uses the version that another process has written in the meantime', async () => {
    const { store } = await withSession();
    const { found, idOf, restore } = startProcess(store);
    const outdated = await found();
    const other = startProcess(store);
    await other.restore(await other.found(), await refreshedTo('rt_3'));
    const restored = await restore(outdated, await refreshedTo('rt_2'));
    expect(restored).toMatchObject({ refreshToken: 'rt_3' });
    expect(idOf(restored)).toBe(REFERENCE.id);
    expect(await startProcess(store).refreshToken()).toBe('rt_3');
  });

  test.each([
    ['the store is unavailable', (store: Required<Store>) => ({ ...store, replace: fails })],
    [
      'it has been deleted in the meantime',
      (store: Required<Store>) => ({
        ...store,
        replace: async (key: string) => {
          await store.delete(key);
          return false;
        },
      }),
    ],
    [
      'its entry has become unreadable',
      (store: Required<Store>) => ({
        ...store,
        replace: async (key: string) => {
          await store.set(key, 'unreadable', 1000);
          return false;
        },
      }),
    ],
  ])('continues with the outdated version if %s', async (_, storeOf) => {
    const { store } = await withSession();
    const { found, restore } = startProcess(storeOf(store));
    const outdated = await found();
    expect(await restore(outdated, await refreshedTo('rt_2'))).toBe(outdated);
  });

  test('continues with the outdated version if a process with an unknown password has replaced it', async () => {
    const { map, store } = await withSession();
    const { found, restore } = startProcess(store);
    const outdated = await found();
    map.clear();
    await startProcess(store, OTHER_PASSWORDS).add(REFERENCE.id, sessionWith('rt_3'));
    expect(await restore(outdated, await refreshedTo('rt_2'))).toBe(outdated);
  });

  test('that is not in the store changes nothing', async () => {
    const session = sessionWith('rt_1');
    expect(await startProcess(mapStore()).restore(session, await refreshedTo('rt_2'))).toBe(session);
  });
});

describe('replacing a session with its refreshed version', () => {
  test('writes once, even if several requests share the refresh', async () => {
    const { store } = await withSession();
    let writes = 0;
    const replace: typeof store.replace = async (...parameters) => {
      writes += 1;
      return store.replace(...parameters);
    };
    let reads = 0;
    const get = async (key: string) => {
      reads += 1;
      return store.get(key);
    };
    const process = startProcess({ ...store, get, replace });
    const next = await refreshedTo('rt_2');
    const sessions = [await process.found(), await process.found()];
    const results = await Promise.all(sessions.map((before) => process.replace(REFERENCE.id, before, next)));
    expect(results).toEqual(['ok', 'ok']);
    expect(writes).toBe(1);
    // Finding the session was the only reason to read the store.
    expect(reads).toBe(2);
    expect(process.idOf(next.session)).toBe(REFERENCE.id);
    expect(await startProcess(store).refreshToken()).toBe('rt_2');
  });

  test('tells that the store is unavailable', async () => {
    const { store } = await withSession();
    const { found, idOf, replace } = startProcess({ ...store, replace: fails });
    const next = await refreshedTo('rt_2');
    expect(await replace(REFERENCE.id, await found(), next)).toBe('unavailable');
    expect(idOf(next.session)).toBeUndefined();
  });

  test('does not bring back a session that has been deleted', async () => {
    const { map, store } = await withSession();
    const { found, idOf, replace } = startProcess(store);
    const before = await found();
    map.clear();
    const next = await refreshedTo('rt_2');
    expect(await replace(REFERENCE.id, before, next)).toBe('not_found');
    expect(idOf(next.session)).toBeUndefined();
    expect(map.size).toBe(0);
  });

  test('does not bring back a session that has been moved from the same cookie and then deleted', async () => {
    // The entry is deleted after the store has found that there is one.
    const { idOf, replace } = startProcess({ ...mapStore(), add: async () => false });
    const next = await refreshedTo('rt_2');
    expect(await replace(REFERENCE.id, sessionWith('rt_1'), next)).toBe('not_found');
    expect(idOf(next.session)).toBeUndefined();
  });

  test('does not overwrite the version of another process', async () => {
    const { store } = await withSession();
    const { found, idOf, replace } = startProcess(store);
    const before = await found();
    const other = startProcess(store);
    await other.replace(REFERENCE.id, await other.found(), await refreshedTo('rt_3'));
    const next = await refreshedTo('rt_2');
    expect(await replace(REFERENCE.id, before, next)).toBe('ok');
    expect(await other.refreshToken()).toBe('rt_3');
    // The next refresh of this process replaces what is now in the store.
    expect(idOf(next.session)).toBe(REFERENCE.id);
    expect(await replace(REFERENCE.id, next.session, await refreshedTo('rt_4'))).toBe('ok');
    expect(await other.refreshToken()).toBe('rt_4');
  });

  test('adds a session that was in its cookie', async () => {
    const store = mapStore();
    const { idOf, replace } = startProcess(store);
    const next = await refreshedTo('rt_2');
    expect(await replace(REFERENCE.id, sessionWith('rt_1'), next)).toBe('ok');
    expect(idOf(next.session)).toBe(REFERENCE.id);
    expect(await startProcess(store).refreshToken()).toBe('rt_2');
  });

  test('replaces a session that another request has moved from the same cookie to the store', async () => {
    const { store } = await withSession();
    const { replace } = startProcess(store);
    expect(await replace(REFERENCE.id, sessionWith('rt_1'), await refreshedTo('rt_2'))).toBe('ok');
    expect(await startProcess(store).refreshToken()).toBe('rt_2');
  });

  test('keeps a newer session that another request has moved from the same cookie and refreshed', async () => {
    const { store } = await withSession();
    const { replace } = startProcess(store);
    expect(await replace(REFERENCE.id, sessionWith('rt_0'), await refreshedTo('rt_2'))).toBe('ok');
    expect(await startProcess(store).refreshToken()).toBe('rt_1');
  });

  test('does not replace an entry that it cannot read', async () => {
    const store = mapStore();
    await startProcess(store, OTHER_PASSWORDS).add(REFERENCE.id, sessionWith('rt_1'));
    const { replace } = startProcess(store);
    expect(await replace(REFERENCE.id, sessionWith('rt_1'), await refreshedTo('rt_2'))).toBe('ok');
    expect(await startProcess(store, OTHER_PASSWORDS).refreshToken()).toBe('rt_1');
  });
});

test('adding a session tells whether the store is available', async () => {
  expect(await startProcess(mapStore()).add('id', sessionWith('rt'))).toBe('ok');
  expect(await startProcess({ ...mapStore(), add: fails }).add('id', sessionWith('rt'))).toBe('unavailable');
});

describe('the cookie value of a session in the store', () => {
  const ids = createSessionIds(PASSWORDS);
  const value = ids.write('id_1', sessionWith('rt_1'));

  /** A cookie value with a valid MAC. */
  const signed = (text: string) => {
    const mac = createHmac('sha256', deriveKey(PASSWORDS[0], 'session ids')).update(text);
    return `${text}.${mac.digest('base64url')}`;
  };

  test('contains the ID, when the token was issued, and the WorkOS session ID', () => {
    expect(value).toMatch(/^s1\.id_1\.rs-[\w-]{11}\.[\w-]+\.[\w-]{43}$/);
    expect(ids.read(value)).toEqual({ id: 'id_1', sessionId: 'session_1', issuedAt: 1000 });
    expect(ids.read(ids.write('id_1', sessionWith('rt_1', { iat: -5.5 })))).toMatchObject({ issuedAt: 0 });
  });

  test('changes with every refresh token', () => {
    expect(ids.write('id_1', sessionWith('rt_2'))).not.toBe(value);
  });

  test('does not contain a WorkOS session ID of more than 64 characters', () => {
    for (const [length, expected] of [
      [64, 'x'.repeat(64)],
      [65, undefined],
    ] as const) {
      const session = sessionWith('rt_1', { sid: 'x'.repeat(length) });
      expect(ids.read(ids.write('id_1', session))?.sessionId).toBe(expected);
    }
  });

  test('of an earlier release has no time', () => {
    expect(ids.read(signed('s1.id_1.0123456789a.'))).toEqual({
      id: 'id_1',
      sessionId: undefined,
      issuedAt: undefined,
    });
    expect(ids.read(signed('s1.id_1.~~~~~~~~~~~~.'))).toMatchObject({ issuedAt: undefined });
  });

  test('is accepted with each of the passwords, and written with the first', () => {
    const rotated = createSessionIds([OTHER_PASSWORDS[0], PASSWORDS[0]]);
    expect(rotated.read(value)).toEqual(ids.read(value));
    expect(ids.read(rotated.write('id_1', sessionWith('rt_1')))).toBeUndefined();
  });

  test('is refused in any other form', () => {
    const parts = value.split('.');
    const mac = parts.at(-1)!;
    // 43 characters of base64url have two bits that do not count.
    const last = String.fromCharCode(mac.charCodeAt(42) + 1);
    for (const other of [
      ['s2', ...parts.slice(1)],
      parts.slice(0, -1),
      [...parts, 'x'],
      [...parts.slice(0, -1), mac.slice(0, 40)],
      [...parts.slice(0, -1), mac.slice(0, 42) + last],
      [...parts.slice(0, -1), ''],
      [''],
    ])
      expect(ids.read(other.join('.')), other.join('.')).toBeUndefined();
  });

  test('is told apart from other cookie values by its form, without a check of its MAC', () => {
    expect(ids.hasForm(value)).toBe(true);
    expect(ids.hasForm('s1.junk')).toBe(true);
    for (const other of ['s1', 's10.id', 'Fe26.2*', `s1.${'x'.repeat(254)}`])
      expect(ids.hasForm(other), other).toBe(false);
  });

  test('has the same ID whenever the same session moves from its cookie to the store', () => {
    const id = ids.deriveFrom(sessionWith('rt_1'));
    expect(ids.deriveFrom(sessionWith('rt_1', { iat: 2000 }))).toBe(id);
    expect(ids.deriveFrom(sessionWith('rt_2'))).not.toBe(id);
    expect(createSessionIds(OTHER_PASSWORDS).deriveFrom(sessionWith('rt_1'))).not.toBe(id);
    expect(ids.read(ids.write(id, sessionWith('rt_2')))).toMatchObject({ id });
  });
});
