import { expect, test } from 'vitest';
import type { Store } from 'authkit-express';
import { FETCH, send } from '../support/browser.js';
import { createTestApp, type Application } from '../support/app.js';
import { mapStore } from '../support/map-store.js';

/** Calls to the store time out after a fifth of this. WorkOS runs in the same process. */
const timeout = 2500;

/** After a refusal that could not be confirmed, how long the next one is not believed either, in milliseconds. */
const DOUBTED_FOR = 5000;

const account = ({ origin }: Application, cookie: string) =>
  send(`${origin}/account`, { headers: { ...FETCH, cookie } });

type Fault = (method: keyof Store) => Promise<unknown> | undefined;

const fails = () => Promise.reject(new Error('the store is down'));

const FAULTS: Record<string, Fault> = {
  'cannot be reached': fails,
  'does not reply': () => new Promise(() => undefined),
  'cannot be read': (method) => (method === 'get' ? fails() : undefined),
  // As a read-only or full Redis: then the process that refreshes cannot store its result.
  'cannot be written': (method) => (method === 'get' ? undefined : fails()),
};

/** A store whose calls all go through `fault` until it is repaired. */
function faultyStore(store: Store) {
  const state: { fault: Fault | undefined } = { fault: undefined };
  const faulty = Object.fromEntries(
    Object.entries(store).map(([method, call]) => [
      method,
      (...args: unknown[]) =>
        state.fault?.(method as keyof Store) ?? (call as (...args: unknown[]) => unknown)(...args),
    ]),
  ) as unknown as Store;
  return { faulty, state };
}

/** Two processes with a store that can fail, a WorkOS that never repeats an answer, and an expired session. */
async function twoProcesses() {
  const { faulty, state } = faultyStore(mapStore());
  const one = await createTestApp('express5', {
    workos: { replayWindow: 0 },
    authkit: { store: faulty, timeout },
  });
  const two = await one.sibling();
  const cookie = await one.cookie();
  const { sessionId } = JSON.parse((await account(one, cookie)).body) as { sessionId: string };
  one.workos.clock.advance(600_000);
  return { one, two, cookie, sessionId, state, workos: one.workos };
}

const cookiesOf = ({ setCookies }: { setCookies: string[] }) =>
  setCookies.filter((line) => line.startsWith('wos-session'));

test.each(Object.entries(FAULTS))(
  'a refresh token that WorkOS refuses because another process has used it signs no user out while the store %s',
  async (_, fault) => {
    const { one, two, cookie, state, workos } = await twoProcesses();
    state.fault = fault;
    const first = await account(one, cookie);
    expect(first.status).toBe(200);
    const second = await account(two, cookie);
    expect(second.status).toBe(503);
    expect(second.headers['retry-after']).toMatch(/^\d+$/);
    expect(cookiesOf(second)).toEqual([]);
    expect(workos.callsTo('refresh').map(({ status }) => status)).toEqual([200, 400]);
    // The process that has refreshed the session still gives a late request the new tokens.
    const late = await account(one, cookie);
    expect([late.status, cookiesOf(late).length]).toEqual([200, 1]);
    const [renewed] = cookiesOf(first)[0]!.split(';');
    expect((await account(two, renewed!)).status).toBe(200);
  },
);

test('a refusal is not believed if the result of the other process can be read a moment later', async () => {
  const { one, two, cookie, state, workos } = await twoProcesses();
  expect((await account(one, cookie)).status).toBe(200);
  // The store works again as soon as WorkOS has refused the token.
  state.fault = () => (workos.callsTo('refresh').length === 1 ? fails() : undefined);
  const reply = await account(two, cookie);
  expect([reply.status, cookiesOf(reply).length]).toEqual([200, 1]);
  expect(workos.callsTo('refresh').map(({ status }) => status)).toEqual([200, 400]);
});

test.each(Object.entries(FAULTS))(
  'a session that has ended while the store %s is not accepted, and the second refusal signs the user out',
  async (_, fault) => {
    const { two, cookie, sessionId, state, workos } = await twoProcesses();
    workos.endSession(sessionId);
    state.fault = fault;
    for (const seconds of [0, 1]) {
      workos.clock.advance(seconds * 1000);
      const reply = await account(two, cookie);
      expect([reply.status, cookiesOf(reply)]).toEqual([503, []]);
    }
    workos.clock.advance(DOUBTED_FOR);
    const reply = await account(two, cookie);
    expect(reply.status).toBe(401);
    expect(cookiesOf(reply)).toEqual([expect.stringMatching(/^wos-session=; Max-Age=0;/)]);
    expect(two.served()).toBe(0);
  },
);

test('a session that has ended during an outage of the store ends with the first request after it', async () => {
  const { two, cookie, sessionId, state, workos } = await twoProcesses();
  workos.endSession(sessionId);
  state.fault = fails;
  expect((await account(two, cookie)).status).toBe(503);
  state.fault = undefined;
  expect((await account(two, cookie)).status).toBe(401);
});
