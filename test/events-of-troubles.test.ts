import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import type { AuthKitEvents } from 'authkit-express';
import { FETCH, send } from './support/browser.js';
import { mapStore } from './support/map-store.js';
import { createFrozenTestApp, type TestApp, type TestAppOptions } from './support/app.js';

type Event = { [N in keyof AuthKitEvents]: [name: N, facts: AuthKitEvents[N]] }[keyof AuthKitEvents];

const CHANNELS = [
  'authkit:breaker',
  'authkit:keys',
  'authkit:refresh-failed',
  'authkit:revoked',
  'authkit:session',
  'authkit:store',
  'authkit:webhook',
] as const satisfies readonly (keyof AuthKitEvents)[];

/** Records the events and warnings of this process from now on. */
function listen(): { events: Event[]; warnings: string[] } {
  const events: Event[] = [];
  const warnings: string[] = [];
  const onMessage = (facts: unknown, name: string | symbol) => events.push([name, facts] as Event);
  const onWarning = (warning: Error & { code?: string }) => warnings.push(warning.code ?? '');
  for (const name of CHANNELS) subscribe(name, onMessage);
  process.on('warning', onWarning);
  onTestFinished(() => {
    for (const name of CHANNELS) unsubscribe(name, onMessage);
    process.off('warning', onWarning);
  });
  return { events, warnings };
}

const HOOK = '/webhooks/workos';

const OPTIONS: TestAppOptions = {
  // Long enough that calls do not time out by accident on a busy machine.
  authkit: { timeout: 5000 },
  routes: (app, auth, { workos }) => {
    app.route(HOOK, auth.webhooks({ secret: workos.webhookSecret }));
  },
};

const account = ({ origin }: Pick<TestApp, 'origin'>, cookie: string) =>
  send(`${origin}/account`, { headers: { ...FETCH, cookie } });

/** A request from a user whose access token has expired. */
async function expiredRequest(at: TestApp, cookie?: string): Promise<void> {
  const sent = cookie ?? (await at.cookie());
  at.workos.clock.advance(600_000);
  await account(at, sent);
}

/** Longer than a store response is cached, in milliseconds of real time. */
const CHECKED = 550;

interface Trouble {
  options?: (store: ReturnType<typeof mapStore>) => TestAppOptions['authkit'];
  cause: (at: TestApp, store: ReturnType<typeof mapStore>, map: Map<string, string>) => Promise<unknown>;
  events: readonly (readonly [name: keyof AuthKitEvents, facts: object])[];
  warning?: string;
}

const TROUBLES: Record<string, Trouble> = {
  'WorkOS answers 503': {
    cause: (at) => {
      at.workos.fail({ on: 'refresh', status: 503 });
      return expiredRequest(at);
    },
    events: [
      ['authkit:refresh-failed', { outcome: 'unavailable', reason: 'status', status: 503 }],
      ['authkit:session', { reason: 'unavailable', why: 'workos' }],
    ],
  },
  'WorkOS limits the app': {
    cause: (at) => {
      at.workos.fail({ on: 'refresh', status: 429, headers: { 'retry-after': '30' } });
      return expiredRequest(at);
    },
    events: [
      ['authkit:breaker', { state: 'open', reason: 'rate_limit', pause: 30_000 }],
      ['authkit:refresh-failed', { outcome: 'unavailable', reason: 'status', status: 429 }],
    ],
  },
  'WorkOS does not answer': {
    options: () => ({ timeout: 300 }),
    cause: (at) => {
      at.workos.fail({ on: 'refresh', hang: true });
      return expiredRequest(at);
    },
    events: [['authkit:refresh-failed', { outcome: 'unavailable', reason: 'timeout', status: undefined }]],
  },
  'WorkOS closes the connection': {
    cause: (at) => {
      at.workos.fail({ on: 'refresh', reset: true });
      return expiredRequest(at);
    },
    events: [['authkit:refresh-failed', { outcome: 'unavailable', reason: 'network' }]],
  },
  'WorkOS sends half an answer': {
    cause: (at) => {
      at.workos.fail({ on: 'refresh', body: { user: { id: 'user_1' } } });
      return expiredRequest(at);
    },
    events: [['authkit:refresh-failed', { outcome: 'unavailable', reason: 'answer' }]],
  },
  'WorkOS fails again and again': {
    cause: async (at) => {
      at.workos.fail({ on: 'refresh', status: 500 });
      const cookies = await Promise.all(
        Array.from({ length: 12 }, (_, index) => at.cookie({ user: { email: `u${index}@example.com` } })),
      );
      at.workos.clock.advance(600_000);
      for (const cookie of cookies) await account(at, cookie);
    },
    events: [
      ['authkit:breaker', { state: 'open', reason: 'failures' }],
      ['authkit:refresh-failed', { outcome: 'unavailable', reason: 'circuit_open' }],
    ],
  },
  'the API key is wrong': {
    cause: (at) => {
      at.workos.fail({ on: 'refresh', status: 401, body: { message: 'Unauthorized' } });
      return expiredRequest(at);
    },
    events: [['authkit:refresh-failed', { outcome: 'unavailable', reason: 'misconfigured', status: 401 }]],
  },
  'WorkOS has ended the session': {
    cause: async (at) => {
      const cookie = await at.cookie();
      for (const { id } of at.workos.users()) at.workos.deleteUser(id);
      await expiredRequest(at, cookie);
    },
    events: [
      ['authkit:refresh-failed', { outcome: 'refused', reason: 'session_ended', code: 'unauthenticated' }],
      ['authkit:session', { reason: 'ended', why: 'refused' }],
    ],
  },
  'WorkOS requires a second factor': {
    cause: (at) => {
      const body = { code: 'mfa_challenge', message: 'a second factor is required' };
      at.workos.fail({ on: 'refresh', status: 403, body });
      return expiredRequest(at);
    },
    events: [['authkit:refresh-failed', { outcome: 'refused', reason: 'next_step', code: 'mfa_challenge' }]],
  },
  'the keys cannot be fetched': {
    cause: async (at) => {
      at.workos.fail({ on: 'jwks', status: 500 });
      await account(at, await at.cookie());
    },
    events: [
      ['authkit:keys', { outcome: 'unavailable', reason: 'status', status: 500, count: 0, age: undefined }],
      ['authkit:session', { reason: 'unavailable', why: 'keys' }],
    ],
  },
  'the keys are garbage': {
    cause: async (at) => {
      at.workos.fail({ on: 'jwks', body: { keys: [7, null, 'key', { kty: 'EC' }] } });
      await account(at, await at.cookie());
    },
    events: [['authkit:keys', { outcome: 'unavailable', reason: 'no_usable_key', count: 0 }]],
  },
  'the keys are not JSON': {
    cause: async (at) => {
      at.workos.fail({ on: 'jwks', body: '<html>' });
      await account(at, await at.cookie());
    },
    events: [['authkit:keys', { outcome: 'unavailable', reason: 'malformed' }]],
  },
  'the clock of this server is ahead': {
    options: () => ({ now: () => Date.now() + 3_600_000 }),
    cause: async (at) => account(at, await at.cookie()),
    events: [['authkit:session', { reason: 'unavailable', why: 'clock' }]],
    warning: 'AUTHKIT_CLOCK',
  },
  'the store is down, with sessions in cookies': {
    options: (store) => ({ store }),
    cause: async (at, store) => {
      store.get = () => Promise.reject(Object.assign(new Error('down'), { code: 'ECONNREFUSED' }));
      await account(at, await at.cookie());
    },
    events: [['authkit:store', { operation: 'get', outcome: 'error', code: 'ECONNREFUSED' }]],
    warning: 'AUTHKIT_STORE',
  },
  'the store is slow, with sessions in the store': {
    options: (store) => ({ store, session: 'store', timeout: 500 }),
    cause: async (at, store) => {
      await at.signIn();
      store.get = () => new Promise(() => undefined);
      await wait(CHECKED);
      await at.browser.fetch(`${at.origin}/account`);
    },
    events: [
      ['authkit:store', { operation: 'get', outcome: 'timeout' }],
      ['authkit:session', { reason: 'unavailable', why: 'store' }],
    ],
  },
  'the store has lost a session': {
    options: (store) => ({ store, session: 'store' }),
    cause: async (at, _store, map) => {
      await at.signIn();
      map.clear();
      await wait(CHECKED);
      await at.browser.fetch(`${at.origin}/account`);
    },
    events: [['authkit:session', { reason: 'ended', why: 'not_in_store' }]],
  },
  'the store holds an older session than the cookie says': {
    options: (store) => ({ store, session: 'store' }),
    cause: async (at, _store, map) => {
      await at.signIn();
      const before = [...map];
      at.workos.clock.advance(600_000);
      await at.browser.fetch(`${at.origin}/account`);
      for (const [key, value] of before) map.set(key, value);
      await wait(CHECKED);
      await at.browser.fetch(`${at.origin}/account`);
    },
    events: [['authkit:session', { reason: 'outdated', why: 'store_older' }]],
  },
  'an entry of the store cannot be read': {
    options: (store) => ({ store, session: 'store' }),
    cause: async (at, _store, map) => {
      await at.signIn();
      for (const key of map.keys()) map.set(key, 'junk');
      await wait(CHECKED);
      await at.browser.fetch(`${at.origin}/account`);
    },
    events: [['authkit:session', { reason: 'unavailable', why: 'store_entry' }]],
  },
  'servers have different passwords': {
    cause: async (at) => {
      const other = await at.sibling({ cookiePassword: 'correct-horse-battery-staple-0123456789' });
      await account(other, await at.cookie());
    },
    events: [['authkit:session', { reason: 'invalid', why: 'password', userId: undefined }]],
  },
  'servers have different passwords, with sessions in the store': {
    options: (store) => ({ store, session: 'store' }),
    cause: async (at) => {
      await at.signIn();
      const other = await at.sibling({ cookiePassword: 'correct-horse-battery-staple-0123456789' });
      await account(other, await at.browser.jar.getCookieString(at.origin));
    },
    events: [['authkit:session', { reason: 'invalid', why: 'password' }]],
  },
  'a cookie is not a session': {
    cause: (at) => account(at, 'wos-session=junk'),
    events: [['authkit:session', { reason: 'invalid', why: 'format' }]],
  },
  'the tokens are those of another issuer': {
    options: () => ({ issuer: 'https://issuer.example' }),
    cause: async (at) => account(at, await at.cookie()),
    events: [['authkit:session', { reason: 'invalid', why: 'token', detail: 'issuer' }]],
  },
  'a webhook is signed with another secret': {
    cause: async (at) => {
      const { body, headers } = at.workos.webhook('session.revoked', { id: 'session_1' });
      const forged = { ...headers, 'workos-signature': `t=${at.workos.clock.now()}, v1=${'0'.repeat(64)}` };
      await send(at.origin + HOOK, { method: 'POST', headers: forged, body });
    },
    events: [['authkit:webhook', { outcome: 'refused', reason: 'signature', event: undefined }]],
  },
  'a webhook is old': {
    cause: async (at) => {
      const { body, headers } = at.workos.webhook('session.revoked', { id: 'session_1' });
      at.workos.clock.advance(181_000);
      await send(at.origin + HOOK, { method: 'POST', headers: { ...headers }, body });
    },
    events: [['authkit:webhook', { outcome: 'refused', reason: 'too_old' }]],
  },
  'a webhook is replayed': {
    cause: async (at) => {
      const { body, headers } = at.workos.webhook('session.revoked', { id: 'session_1' });
      const post = () => send(at.origin + HOOK, { method: 'POST', headers: { ...headers }, body });
      await post();
      await post();
    },
    events: [
      ['authkit:revoked', { sessionId: 'session_1', isShared: true }],
      ['authkit:webhook', { outcome: 'accepted', reason: undefined, event: 'session.revoked' }],
      ['authkit:webhook', { outcome: 'refused', reason: 'replayed', event: 'session.revoked' }],
    ],
  },
  'a webhook comes while the store is down': {
    options: (store) => ({ store }),
    cause: async (at, store) => {
      store.set = () => Promise.reject(new Error('down'));
      const { body, headers } = at.workos.webhook('session.revoked', { id: 'session_1' });
      await send(at.origin + HOOK, { method: 'POST', headers: { ...headers }, body });
    },
    events: [
      ['authkit:revoked', { sessionId: 'session_1', isShared: false }],
      ['authkit:webhook', { outcome: 'failed', reason: 'store' }],
    ],
  },
  'a session is revoked': {
    cause: async (at) => {
      const cookie = await at.cookie();
      const { sessionId } = JSON.parse((await account(at, cookie)).body) as { sessionId: string };
      await at.auth.revokeSession(sessionId);
      await account(at, cookie);
    },
    events: [
      ['authkit:revoked', { sessionId: expect.stringMatching(/^session_/) as string, isShared: true }],
      ['authkit:session', { reason: 'ended', why: 'revoked' }],
    ],
  },
  'all sessions of a user are revoked': {
    cause: async (at) => {
      await at.cookie();
      await at.auth.revokeUserSessions(at.workos.users()[0]!.id);
    },
    events: [
      ['authkit:revoked', { sessionId: undefined, userId: expect.stringMatching(/^user_/) as string }],
    ],
  },
};

test.each(Object.entries(TROUBLES))('19E %s: there is an event', async (_, trouble) => {
  const map = new Map<string, string>();
  const store = mapStore(map);
  const at = await createFrozenTestApp('express5', {
    ...OPTIONS,
    authkit: { ...OPTIONS.authkit, ...trouble.options?.(store) },
  });
  const { events, warnings } = listen();
  await trouble.cause(at, store, map);
  const { clientId } = at.workos.options;
  for (const [name, facts] of trouble.events)
    expect(events).toContainEqual([name, expect.objectContaining({ clientId, ...facts })]);
  if (trouble.warning !== undefined) await expect.poll(() => warnings).toContain(trouble.warning);
});

test('19E a state that lasts is one event, and so is its end', async () => {
  const store = mapStore();
  const { get } = store;
  const at = await createFrozenTestApp('express5', { authkit: { store } });
  const cookies = await Promise.all(
    [1, 2, 3].map((n) => at.cookie({ user: { email: `u${n}@example.com` } })),
  );
  const { events } = listen();
  const ofStore = () => events.flatMap(([name, facts]) => (name === 'authkit:store' ? [facts.outcome] : []));
  store.get = () => Promise.reject(new Error('down'));
  for (const cookie of cookies) expect((await account(at, cookie)).status).toBe(200);
  expect(ofStore()).toEqual(['error']);
  store.get = get;
  await wait(CHECKED);
  for (const cookie of cookies) expect((await account(at, cookie)).status).toBe(200);
  expect(ofStore()).toEqual(['error', 'ok']);

  const ofKeys = () => events.flatMap(([name, facts]) => (name === 'authkit:keys' ? [facts] : []));
  expect(ofKeys()).toMatchObject([{ outcome: 'ok', count: 1, age: 0 }]);
  at.workos.fail({ on: 'jwks', status: 500 });
  for (let hour = 1; hour <= 3; hour += 1) {
    at.workos.clock.advance(3_600_000);
    await account(at, await at.cookie());
  }
  expect(ofKeys().slice(1)).toMatchObject([{ outcome: 'unavailable', count: 1 }]);
  expect(ofKeys()[1]!.age).toBeGreaterThanOrEqual(3_600_000);
  at.workos.recover();
  await at.workos.rotateKeys({ keepOld: true });
  at.workos.clock.advance(20_000);
  await account(at, await at.cookie());
  expect(ofKeys().slice(2)).toMatchObject([{ outcome: 'ok', count: 2, age: 0, reason: undefined }]);
});
