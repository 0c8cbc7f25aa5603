import { WorkOS } from '@workos-inc/node';
import { MemoryStore } from 'express-session';
import express from 'express';
import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { expressStore, type Store, type WebhookEvent } from 'authkit-express';
import { FRAMEWORKS, type App, type Handler } from '../support/frameworks.js';
import { FETCH, send } from '../support/browser.js';
import { ADA, createTestApp, type TestAppOptions } from '../support/app.js';

/** Longer than it may take a different process to find out, in milliseconds. */
const LEARNED = 600;

const HOOK = '/webhooks/workos';

type Parser = 'none' | 'json' | 'raw' | 'text' | 'rawBody';

const parsers: Record<Parser, Handler[]> = {
  none: [],
  json: [express.json() as Handler],
  raw: [express.raw({ type: '*/*' }) as Handler],
  text: [express.text({ type: '*/*' }) as Handler],
  rawBody: [
    express.json({
      verify: (req, _res, bytes) => {
        (req as unknown as { rawBody: Buffer }).rawBody = bytes;
      },
    }) as Handler,
  ],
};

/** An application with a route for webhooks. */
function receiving(parser: Parser = 'none', onEvent?: (event: WebhookEvent) => unknown): TestAppOptions {
  return {
    authkit: { store: expressStore(new MemoryStore()) },
    workos: { webhookSecret: 'a-secret-for-test-webhooks' },
    routes: (app: App, auth) => {
      const options = {
        secret: ['another-secret', 'a-secret-for-test-webhooks'],
        ...(onEvent ? { onEvent } : {}),
      };
      app.route(HOOK, ...parsers[parser], auth.webhooks(options));
    },
  };
}

const ask = async (origin: string, cookie: string) =>
  (await send(`${origin}/account`, { headers: { ...FETCH, cookie } })).status;

describe.each(FRAMEWORKS)('webhooks on %s', (framework) => {
  test.each(Object.keys(parsers) as Parser[])(
    'session.revoked ends a session, after the body parser %s',
    async (parser) => {
      const site = await createTestApp(framework, receiving(parser));
      const cookies = await Promise.all([site.cookie({ user: ADA }), site.cookie({ user: ADA })]);
      const [mine, other] = cookies;
      const whoami = await send(`${site.origin}/account`, { headers: { ...FETCH, cookie: mine } });
      const { sessionId } = JSON.parse(whoami.body) as { sessionId: string };
      const { body, headers } = site.workos.webhook('session.revoked', { object: 'session', id: sessionId });
      const post = () => send(site.origin + HOOK, { method: 'POST', headers: { ...headers }, body });
      expect(await post()).toMatchObject({ status: 200, body: '{"received":true}' });
      expect(await ask(site.origin, mine)).toBe(401);
      expect(await ask(site.origin, other)).toBe(200);
      // Delivering the same request again is a replay.
      expect((await post()).status).toBe(400);
    },
  );
});

test('an event delivered to one process reaches the others within a second, and the handler is called', async () => {
  const heard: WebhookEvent[] = [];
  const one = await createTestApp(
    'express5',
    receiving('json', (event) => heard.push(event)),
  );
  const others = [await one.sibling(), await one.sibling()];
  const cookie = await one.cookie({ user: ADA });
  for (const { origin } of [one, ...others]) expect(await ask(origin, cookie)).toBe(200);
  const reply = await send(`${one.origin}/account`, { headers: { ...FETCH, cookie } });
  const { sessionId } = JSON.parse(reply.body) as { sessionId: string };
  const { body, headers } = one.workos.webhook('session.revoked', { id: sessionId }, { id: 'event_1' });
  expect((await send(one.origin + HOOK, { method: 'POST', headers: { ...headers }, body })).status).toBe(200);
  await wait(LEARNED);
  for (const { origin } of [one, ...others]) expect(await ask(origin, cookie)).toBe(401);
  expect(heard).toMatchObject([{ id: 'event_1', event: 'session.revoked', data: { id: sessionId } }]);
  // Delivered to a different process, it is still a replay.
  const again = await send(others[0]!.origin + HOOK, { method: 'POST', headers: { ...headers }, body });
  expect(again.status).toBe(400);
});

test('user.deleted ends all sessions of the user, and a changed membership causes a refresh', async () => {
  const site = await createTestApp('express5', receiving());
  const { workos, origin } = site;
  const [ada, grace] = await Promise.all([
    site.cookie({ user: ADA }),
    site.cookie({ user: 'grace@example.com' }),
  ]);
  for (const cookie of [ada, grace]) expect(await ask(origin, cookie)).toBe(200);
  const [adaId, graceId] = [ADA, 'grace@example.com'].map(
    (email) => workos.users().find((user) => user.email === email)!.id,
  );
  const tell = async (event: string, data: Record<string, unknown>) => {
    const { body, headers } = workos.webhook(event, data);
    expect((await send(origin + HOOK, { method: 'POST', headers: { ...headers }, body })).status).toBe(200);
  };
  await tell('user.deleted', { id: adaId });
  expect(await ask(origin, ada)).toBe(401);
  expect(await ask(origin, grace)).toBe(200);
  let cookie = grace;
  for (const [event, data] of [
    ['organization_membership.updated', { id: 'om_1', user_id: graceId }],
    ['user.updated', { id: graceId }],
  ] as const) {
    workos.clock.advance(2000);
    const before = workos.callsTo('refresh').length;
    await tell(event, data);
    const reply = await send(`${origin}/account`, { headers: { ...FETCH, cookie } });
    expect(reply.status).toBe(200);
    expect(workos.callsTo('refresh')).toHaveLength(before + 1);
    cookie = reply.setCookies.find((line) => line.startsWith('wos-session='))!.split(';', 1)[0]!;
  }
  // An event that this package does not use is only passed to the application.
  workos.clock.advance(2000);
  const before = workos.callsTo('refresh').length;
  await tell('dsync.user.created', { id: graceId, user_id: graceId });
  expect(await ask(origin, cookie)).toBe(200);
  expect(workos.callsTo('refresh')).toHaveLength(before);
  await tell('organization_membership.created', {});
});

describe('a webhook is refused', () => {
  type Signed = { body: string; headers: Record<string, string> };
  const signature = (value: string) => (signed: Signed) => ({
    ...signed,
    headers: { ...signed.headers, 'workos-signature': value },
  });
  const wrong: [string, (signed: Signed) => Signed | { options: object }][] = [
    ['with a changed body', (signed) => ({ ...signed, body: signed.body.replace('session_x', 'session_y') })],
    ['with another secret', () => ({ options: { secret: 'not-the-secret-of-this' } })],
    ['that is too old', () => ({ options: { timestamp: Date.now() - 181_000 } })],
    ['from the future', () => ({ options: { timestamp: Date.now() + 181_000 } })],
    ['without a signature', ({ body }) => ({ body, headers: {} })],
    ['with an empty signature', signature('')],
    ['with half a signature', signature('t=1')],
    ['with words', signature('t=now, v1=abc')],
    ['with two times', (signed) => signature(`t=1, ${signed.headers['workos-signature']!}`)(signed)],
    ['with a short MAC', (signed) => signature(signed.headers['workos-signature']!.slice(0, -2))(signed)],
    ['without a body', (signed) => ({ ...signed, body: '' })],
    ['with a long one', (signed) => ({ ...signed, body: `${signed.body}${' '.repeat(2_000_000)}` })],
  ];
  test.each(wrong)('%s', async (_name, change) => {
    const heard: unknown[] = [];
    const site = await createTestApp(
      'express5',
      receiving('none', (event) => heard.push(event)),
    );
    const signed = (options = {}) => {
      const { body, headers } = site.workos.webhook('session.revoked', { id: 'session_x' }, options);
      return { body, headers: { ...headers } };
    };
    const changed = change(signed());
    const { body, headers } = 'options' in changed ? signed(changed.options) : changed;
    const reply = await send(site.origin + HOOK, { method: 'POST', headers, body });
    expect(reply.status).toBe(400);
    expect(heard).toEqual([]);
  });

  test.each(['[]', '"text"', 'null', '{"id":1}', '{"id":"event_1","event":"session.revoked"}', 'not JSON'])(
    'with a signature, but without an event: %s',
    async (body) => {
      const { signPayload } = await import('../../src/routes/webhooks.js');
      const site = await createTestApp('express5', receiving());
      const timestamp = String(Date.now());
      const value = `t=${timestamp}, v1=${signPayload(timestamp, body, site.workos.webhookSecret)}`;
      const headers = { 'workos-signature': value };
      expect((await send(site.origin + HOOK, { method: 'POST', headers, body })).status).toBe(400);
    },
  );

  test('and without a secret, auth.webhooks() throws', async () => {
    const { auth } = await createTestApp('express5');
    for (const secret of ['', undefined, [], [''], 7] as never[])
      expect(() => auth.webhooks({ secret })).toThrow(/secret of the endpoint/);
  });
});

test('the WorkOS SDK accepts webhooks that the test WorkOS has signed', async () => {
  const { workos } = await createTestApp('express5');
  const { body, headers } = workos.webhook('user.deleted', { object: 'user', id: 'user_1', email: ADA });
  const sdk = new WorkOS('sk_test_1');
  const sigHeader = headers['workos-signature']!;
  const payload = JSON.parse(body) as Record<string, unknown>;
  const event = await sdk.webhooks.constructEvent({ payload, sigHeader, secret: workos.webhookSecret });
  expect(event).toMatchObject({ event: 'user.deleted', data: { id: 'user_1' } });
});

test('a handler that fails or a store that is unavailable is 503, so that WorkOS sends the event again', async () => {
  let isBroken = true;
  const failing = () => {
    if (isBroken) throw new Error('no database');
  };
  const site = await createTestApp('express5', receiving('none', failing));
  const { body, headers } = site.workos.webhook('session.revoked', { id: 'session_x' });
  const post = (origin: string) => send(origin + HOOK, { method: 'POST', headers: { ...headers }, body });
  expect((await post(site.origin)).status).toBe(503);
  isBroken = false;
  expect((await post(site.origin)).status).toBe(200);

  const down = () => Promise.reject(new Error('down'));
  const store: Store = { get: down, set: down, add: down, replace: down, delete: down };
  const untold = await site.sibling({ store });
  const other = site.workos.webhook('session.revoked', { id: 'session_y' });
  const told = await send(untold.origin + HOOK, {
    method: 'POST',
    headers: { ...other.headers },
    body: other.body,
  });
  expect(told.status).toBe(503);
  expect(told.headers['retry-after']).toBeDefined();
});
