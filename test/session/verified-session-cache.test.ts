import { createHash } from 'node:crypto';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { Claims } from '../../src/workos/access-token.js';
import { resolveConfig } from '../../src/config/index.js';
import {
  createSessionCache,
  type SessionCache,
  type VerifiedSession,
} from '../../src/session/verified-session-cache.js';
import type { Session } from '../../src/session/sealed-session.js';

const MINUTE = 60_000;
const MIB = 1_048_576;

function verified(id: number, expiresAt: number): VerifiedSession {
  const claims: Claims = { iss: 'i', sub: `user_${id}`, sid: `s${id}`, iat: 0, exp: expiresAt / 1000 };
  const user = { id: claims.sub } as Session['user'];
  return {
    kind: 'authenticated',
    claims,
    session: { accessToken: 'x'.repeat(900), refreshToken: 'r', user, extension: {} },
  };
}

/** A value as long as a seal, with a different MAC at the end for each id. */
function valueOf(id: number): string {
  const mac = createHash('sha256').update(String(id)).digest('base64url');
  return `Fe26.2*${'x'.repeat(2000)}*${mac}~2`;
}

/** Adds a session as its first two requests do. */
function cacheTwice(memory: SessionCache, value: string, session: VerifiedSession): void {
  memory.set(value, session, false);
  memory.set(value, session, false);
}

test('a session is cached from its second request on, so that single requests leave almost nothing', () => {
  const memory = createSessionCache(MIB, () => 0);
  const session = verified(0, 60 * MINUTE);
  memory.set(valueOf(0), session, false);
  expect(memory.get(valueOf(0))).toBeUndefined();
  memory.set(valueOf(0), session, false);
  expect(memory.get(valueOf(0))).toBe(session);
  for (let id = 1; id <= 5000; id += 1) memory.set(valueOf(id), session, false);
  expect(memory.get(valueOf(0))).toBe(session);
});

test('a session that was removed from the cache is cached again by its next request', () => {
  const memory = createSessionCache(MIB, () => 0);
  const session = verified(0, 60 * MINUTE);
  cacheTwice(memory, valueOf(0), session);
  memory.delete(valueOf(0));
  memory.set(valueOf(0), session, false);
  expect(memory.get(valueOf(0))).toBe(session);
});

test('a cached session is returned until its token is due for refresh, and for ten minutes at most', () => {
  let clock = 0;
  const memory = createSessionCache(MIB, () => clock);
  const [short, long] = [verified(1, 5 * MINUTE), verified(2, 60 * MINUTE)];
  cacheTwice(memory, valueOf(1), short);
  cacheTwice(memory, valueOf(2), long);
  expect(memory.get(valueOf(1))).toBe(short);
  clock = 5 * MINUTE;
  expect(memory.get(valueOf(1))).toBeUndefined();
  expect(memory.get(valueOf(2))).toBe(long);
  clock = 10 * MINUTE;
  expect(memory.get(valueOf(2))).toBeUndefined();
});

test('a clock that is set back does not keep a session in the cache for longer', () => {
  let clock = MINUTE;
  const memory = createSessionCache(MIB, () => clock);
  const session = verified(1, 60 * MINUTE);
  cacheTwice(memory, valueOf(1), session);
  expect(memory.get(valueOf(1))).toBe(session);
  clock -= 1;
  expect(memory.get(valueOf(1))).toBeUndefined();
});

test('a session in a store is looked up again after half a second of real time', () => {
  const monotonic = vi.spyOn(performance, 'now').mockReturnValue(1000);
  onTestFinished(() => {
    monotonic.mockRestore();
  });
  const memory = createSessionCache(MIB, () => 0);
  const [stored, inCookie] = [verified(1, 60 * MINUTE), verified(2, 60 * MINUTE)];
  for (let request = 0; request < 2; request += 1) {
    memory.set(valueOf(1), stored, true);
    memory.set(valueOf(2), inCookie, false);
  }
  monotonic.mockReturnValue(1499);
  expect(memory.get(valueOf(1))).toBe(stored);
  monotonic.mockReturnValue(1500);
  expect(memory.get(valueOf(1))).toBeUndefined();
  expect(memory.get(valueOf(2))).toBe(inCookie);
});

test('a first request is forgotten once 20,000 other sessions have sent one', () => {
  const memory = createSessionCache(MIB, () => 0);
  const session = verified(0, 60 * MINUTE);
  const setAfterOthers = (others: number) => {
    memory.set(valueOf(0), session, false);
    for (let id = 1; id <= others; id += 1) memory.set(`${others} ${id}`.padStart(48), session, false);
    memory.set(valueOf(0), session, false);
    return memory.get(valueOf(0));
  };
  expect(setAfterOthers(20_000)).toBeUndefined();
  memory.delete(valueOf(0));
  expect(setAfterOthers(19_999)).toBe(session);
});

test('the size of an entry grows with the value and with the access token', () => {
  const keptOf = (valueLength: number, tokenLength: number) => {
    const memory = createSessionCache(MIB, () => 0);
    const { session, ...rest } = verified(0, 60 * MINUTE);
    const large = { ...rest, session: { ...session, accessToken: 'x'.repeat(tokenLength) } };
    const values = Array.from({ length: 2100 }, (_, id) => valueOf(id).padEnd(valueLength, String(id)));
    for (const value of values) cacheTwice(memory, value, large);
    return values.filter((value) => memory.get(value) !== undefined).length;
  };
  // An entry counts its value, four times its token, and 512 bytes.
  expect(keptOf(2560, 256)).toBe(MIB / 4096);
  expect(keptOf(2560, 1280)).toBe(MIB / 8192);
  expect(keptOf(6656, 256)).toBe(MIB / 8192);
});

test('the cache is limited in bytes, and the least recently used sessions are removed', () => {
  const memory = createSessionCache(MIB, () => 0);
  const session = verified(0, 60 * MINUTE);
  for (let id = 0; id < 1000; id += 1) {
    cacheTwice(memory, valueOf(id), session);
    expect(memory.get(valueOf(0)), String(id)).toBe(session);
  }
  const kept = Array.from({ length: 1000 }, (_, id) => memory.get(valueOf(id))).filter(Boolean).length;
  expect(kept).toBeGreaterThan(50);
  expect(kept).toBeLessThan(MIB / valueOf(0).length);
});

test('a deleted session is not returned, and neither is one with a similar value', () => {
  const memory = createSessionCache(MIB, () => 0);
  cacheTwice(memory, valueOf(1), verified(1, MINUTE * 5));
  expect(memory.get(valueOf(1).replace('xx', 'xy'))).toBeUndefined();
  memory.delete(valueOf(1));
  expect(memory.get(valueOf(1))).toBeUndefined();
  const off = createSessionCache(0, () => 0);
  cacheTwice(off, valueOf(1), verified(1, MINUTE * 5));
  expect(off.get(valueOf(1))).toBeUndefined();
});

test('`sessionMemory` is false or a size that makes sense', () => {
  const given = {
    clientId: 'client_1',
    apiKey: 'sk_1',
    redirectUri: 'http://localhost:3000/callback',
    cookiePassword: 'correct-horse-battery-staple-0123456789',
  };
  const bytes = (sessionMemory: unknown) =>
    resolveConfig({ ...given, ...(sessionMemory === undefined ? {} : { sessionMemory }) } as never, {})
      .memoryBytes;
  expect([bytes(undefined), bytes({}), bytes(false), bytes({ maxBytes: 2 * MIB })]).toEqual([
    16 * MIB,
    16 * MIB,
    0,
    2 * MIB,
  ]);
  for (const bad of [true, null, 5, [], { maxBytes: 10 }, { maxBytes: 1.5 * MIB + 0.5 }, { max: 1 }]) {
    expect(() => bytes(bad), JSON.stringify(bad)).toThrow('sessionMemory');
  }
});
