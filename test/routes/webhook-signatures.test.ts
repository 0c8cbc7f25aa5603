import { createHmac } from 'node:crypto';
import { afterEach, describe, expect, test } from 'vitest';
import { AuthKitError, type AuthKitOptions, type Store, type WebhookEvent } from 'authkit-express';
import { send } from '../support/browser.js';
import { createTestApp } from '../support/app.js';
import { mapStore } from '../support/map-store.js';
import { messagesOn } from '../support/events.js';

const SECRET = 'a-secret-for-test-webhooks';

/** An application without a store, and a function that sends it a webhook. */
async function receiving(
  options: Parameters<Awaited<ReturnType<typeof createTestApp>>['auth']['webhooks']>[0],
  authkit: AuthKitOptions = {},
) {
  const at = await createTestApp('express5', {
    authkit,
    workos: { webhookSecret: SECRET },
    routes: (app, auth) => {
      app.route('/hook', auth.webhooks(options));
    },
  });
  const deliver = async ({ body, headers }: { body: string; headers: object }) =>
    send(`${at.origin}/hook`, { method: 'POST', body, headers: { ...headers } });
  return { ...at, deliver };
}

const macOf = (timestamp: string | number, body: string, secret = SECRET) =>
  createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex');

const EVENT = JSON.stringify({ id: 'event_1', event: 'dsync.activated', data: {} });

describe('the signature header', () => {
  type Make = (timestamp: string, mac: string) => string;
  const other = 'f'.repeat(64);
  const accepted: [string, Make][] = [
    ['without a space', (t, mac) => `t=${t},v1=${mac}`],
    ['with spaces and tabs', (t, mac) => ` t=${t} ,\t v1=${mac} `],
    ['in another order', (t, mac) => `v1=${mac}, t=${t}`],
    ['with several MACs, the last of which is valid', (t, mac) => `t=${t}, v1=${other}, v1=short, v1=${mac}`],
    ['with several MACs, the first of which is valid', (t, mac) => `t=${t}, v1=${mac}, v1=${other}`],
    ['with a field that is unknown', (t, mac) => `t=${t}, v0=${other}, v1=${mac}, flag`],
    ['of 1024 characters', (t, mac) => `,t=${t}, v1=${mac}`.padStart(1024, 'x')],
  ];
  const unusable: [string, Make][] = [
    ['without a time', (_, mac) => `v1=${mac}`],
    ['with two times', (t, mac) => `t=${t}, t=${t}, v1=${mac}`],
    ['with a time that is not a number', (t, mac) => `t=${t}x, v1=${mac}`],
    ['with a time after text', (t, mac) => `t=x${t}, v1=${mac}`],
    ['with a time of 16 digits', (t, mac) => `t=000${t}, v1=${mac}`],
    ['with an empty time', (_, mac) => `t=, v1=${mac}`],
    ['without a value', (t) => `t=${t}, v1`],
    ['without a MAC', (t) => `t=${t}`],
    ['with the MAC under another name', (t, mac) => `t=${t}, v0=${mac}`],
    ['with a MAC in upper case', (t, mac) => `t=${t}, v1=${mac.toUpperCase()}`],
    ['with a MAC that has a character before it', (t, mac) => `t=${t}, v1=0${mac}`],
    ['with a MAC that has a character after it', (t, mac) => `t=${t}, v1=${mac}0`],
    ['that ends after 1024 characters', (t, mac) => `,t=${t}, v1=${mac}`.padStart(1025, 'x')],
  ];

  test('may have any form that the format allows, and no other', async () => {
    const { workos, deliver } = await receiving({ secret: SECRET });
    const published = messagesOn('authkit:webhook');
    let now = workos.options.now();
    for (const [name, make] of [...accepted, ...unusable]) {
      const timestamp = String((now -= 1));
      const body = EVENT;
      const headers = { 'workos-signature': make(timestamp, macOf(timestamp, body)) };
      const reply = await deliver({ body, headers });
      const isAccepted = accepted.some(([one]) => one === name);
      expect(reply.status, name).toBe(isAccepted ? 200 : 400);
      if (isAccepted) continue;
      expect(JSON.parse(reply.body), name).toMatchObject({
        error: 'invalid_request',
        message: 'the request has no usable WorkOS-Signature header',
      });
    }
    expect(published.slice(accepted.length)).toEqual(
      unusable.map(() => ({
        clientId: workos.options.clientId,
        outcome: 'refused',
        reason: 'header',
        event: undefined,
        eventId: undefined,
      })),
    );
  });

  test('may be three minutes old, or three minutes ahead', async () => {
    let now = Date.now();
    const at = await createTestApp('express5', {
      authkit: { now: () => now },
      workos: { webhookSecret: SECRET },
      routes: (app, auth) => {
        app.route('/hook', auth.webhooks({ secret: ['another-secret-of-before', SECRET] }));
      },
    });
    now = Math.floor(now);
    for (const [ahead, status] of [
      [-180_001, 400],
      [-180_000, 200],
      [180_000, 200],
      [180_001, 400],
    ] as const) {
      const { body, headers } = at.workos.webhook(
        'user.updated',
        { id: 'user_1' },
        { timestamp: now + ahead },
      );
      const reply = await send(`${at.origin}/hook`, { method: 'POST', body, headers: { ...headers } });
      expect(reply.status, String(ahead)).toBe(status);
      if (status === 400) expect(reply.body).toContain('it is more than 3 minutes old');
    }
    // A delivery of two minutes ahead is refused again as long as its signature is valid, and not for much longer.
    const ahead = at.workos.webhook('user.updated', { id: 'user_2' }, { timestamp: now + 180_000 });
    const deliver = () =>
      send(`${at.origin}/hook`, { method: 'POST', body: ahead.body, headers: { ...ahead.headers } });
    expect((await deliver()).status).toBe(200);
    now += 360_000;
    expect((await deliver()).body).toContain('this delivery has been received before');
  });
});

describe('the body', () => {
  const signed = (body: string, now: number) => ({
    body,
    headers: { 'workos-signature': `t=${now}, v1=${macOf(now, body)}` },
  });

  test('contains an event if it has an ID, a name and data', async () => {
    const { workos, deliver } = await receiving({ secret: SECRET });
    const now = workos.options.now();
    const event = { id: 'event_1', event: 'dsync.activated', data: {} };
    expect((await deliver(signed(JSON.stringify(event), now))).status).toBe(200);
    const published = messagesOn('authkit:webhook');
    for (const wrong of [{ id: 7 }, { event: 7 }, { data: null }, { data: 'text' }, { data: undefined }]) {
      const reply = await deliver(signed(JSON.stringify({ ...event, ...wrong }), now));
      expect(reply.status, JSON.stringify(wrong)).toBe(400);
      expect(JSON.parse(reply.body)).toMatchObject({ message: 'the body contains no event' });
    }
    expect(published).toHaveLength(5);
    expect(published[0]).toMatchObject({ outcome: 'refused', reason: 'no_event', event: undefined });
  });

  test('may have a mebibyte', async () => {
    const { workos, deliver } = await receiving({ secret: SECRET });
    const now = workos.options.now();
    expect((await deliver(signed(EVENT.padEnd(1_048_576), now))).status).toBe(200);
    const published = messagesOn('authkit:webhook');
    const reply = await deliver(signed(EVENT.padEnd(1_048_577), now));
    expect(reply.status).toBe(400);
    expect(JSON.parse(reply.body)).toMatchObject({
      message: 'the body could not be read: it is too large, was cut off, or did not arrive in time',
    });
    expect(published).toMatchObject([{ outcome: 'refused', reason: 'body' }]);
  });

  test('that was signed with another secret is refused with the reason', async () => {
    const { workos, deliver } = await receiving({ secret: [SECRET, 'a-second-secret'] });
    const published = messagesOn('authkit:webhook');
    const reply = await deliver(
      workos.webhook('user.updated', { id: 'user_1' }, { secret: 'a-third-secret' }),
    );
    expect(reply.status).toBe(400);
    expect(JSON.parse(reply.body)).toMatchObject({
      message:
        'the signature is not valid: the secret is wrong, the body was changed, or it is more than 3 minutes old',
    });
    expect(published).toMatchObject([{ outcome: 'refused', reason: 'signature' }]);
    for (const secret of [SECRET, 'a-second-secret'])
      expect((await deliver(workos.webhook('user.updated', { id: 'user_1' }, { secret }))).status).toBe(200);
  });
});

describe('a failure', () => {
  test('of onEvent is published, and its AuthKitError is the response', async () => {
    let thrown: unknown = new Error('no database');
    const { workos, deliver } = await receiving({
      secret: SECRET,
      onEvent: () => {
        throw thrown;
      },
    });
    const published = messagesOn('authkit:webhook');
    const delivery = workos.webhook('user.updated', { id: 'user_1' }, { id: 'event_1' });
    const failed = await deliver(delivery);
    expect(failed.status).toBe(503);
    expect(JSON.parse(failed.body)).toMatchObject({ message: 'onEvent failed' });
    thrown = new AuthKitError('forbidden', 'not for this application');
    const refused = await deliver(delivery);
    expect(refused.status).toBe(403);
    expect(JSON.parse(refused.body)).toMatchObject({ message: 'not for this application' });
    const facts = { clientId: workos.options.clientId, event: 'user.updated', eventId: 'event_1' };
    const failure = { ...facts, outcome: 'failed', reason: 'handler' };
    expect(published).toEqual([failure, failure]);
  });

  test('of onEvent while the store is unavailable releases nothing in the store', async () => {
    const releases: string[] = [];
    const plain = mapStore();
    const store: Store = {
      ...plain,
      add: () => Promise.reject(new Error('down')),
      replace: (key, ...rest) => {
        releases.push(key);
        return plain.replace(key, ...rest);
      },
    };
    let isBroken = true;
    const options = {
      secret: SECRET,
      onEvent: () => {
        if (isBroken) throw new Error('no database');
      },
    };
    const { workos, deliver } = await receiving(options, { store });
    const delivery = workos.webhook('dsync.activated', { id: 'directory_1' });
    expect((await deliver(delivery)).status).toBe(503);
    expect(releases).toEqual([]);
    isBroken = false;
    expect((await deliver(delivery)).status).toBe(200);
  });

  test('of onEvent is the cause of the error that onError receives', async () => {
    const cause = new Error('no database');
    const errors: AuthKitError[] = [];
    const { workos, deliver } = await receiving(
      {
        secret: SECRET,
        onEvent: () => {
          throw cause;
        },
      },
      {
        onError: ({ error, res }) => {
          errors.push(error);
          res.writeHead(503).end();
        },
      },
    );
    await deliver(workos.webhook('dsync.activated', { id: 'directory_1' }));
    expect(errors.map((error) => error.cause)).toEqual([cause]);
  });

  test('of onEvent with a store releases the delivery for every process', async () => {
    const entries = new Map<string, string>();
    const lifetimes: number[] = [];
    const plain = mapStore(entries);
    const store: Store = {
      ...plain,
      add: (key, value, ttl) => {
        if (key.startsWith('webhook:')) lifetimes.push(ttl);
        return plain.add(key, value, ttl);
      },
    };
    let isBroken = true;
    const options = {
      secret: SECRET,
      onEvent: () => {
        if (isBroken) throw new Error('no database');
      },
    };
    const { workos, deliver, sibling } = await receiving(options, { store });
    const claims = () => [...entries.keys()].filter((key) => key.startsWith('webhook:'));
    const delivery = workos.webhook('dsync.activated', { id: 'directory_1' });
    expect((await deliver(delivery)).status).toBe(503);
    expect(claims()).toEqual([]);
    isBroken = false;
    const other = await sibling();
    const elsewhere = { method: 'POST', body: delivery.body, headers: { ...delivery.headers } };
    expect((await send(`${other.origin}/hook`, elsewhere)).status).toBe(200);
    expect(claims()).toHaveLength(1);
    expect(lifetimes).toEqual([360_000, 360_000]);
    const again = await deliver(delivery);
    expect(JSON.parse(again.body)).toMatchObject({ message: 'this delivery has been received before' });
    // The claim of the other process is still there.
    expect(claims()).toHaveLength(1);
  });

  test('of the store is published, and the delivery is accepted when the store is back', async () => {
    let isDown = true;
    const plain = mapStore();
    const set: Store['set'] = (...args) => (isDown ? Promise.reject(new Error('down')) : plain.set(...args));
    const heard: unknown[] = [];
    const options = { secret: SECRET, onEvent: (event: WebhookEvent) => heard.push(event) };
    const { workos, deliver } = await receiving(options, { store: { ...plain, set } });
    const published = messagesOn('authkit:webhook');
    const delivery = workos.webhook('session.revoked', { id: 'session_1' });
    const failed = await deliver(delivery);
    expect(failed.status).toBe(503);
    expect(JSON.parse(failed.body)).toMatchObject({
      message: 'the store is unavailable, so the other processes have not been told',
    });
    expect(published).toMatchObject([{ outcome: 'failed', reason: 'store' }]);
    expect(heard).toEqual([]);
    isDown = false;
    expect((await deliver(delivery)).status).toBe(200);
    expect(heard).toHaveLength(1);
    expect(published).toHaveLength(2);
    expect(published[1]).toMatchObject({ outcome: 'accepted', reason: undefined, event: 'session.revoked' });
  });
});

describe('the same delivery, without a store', () => {
  test('is accepted once', async () => {
    const heard: WebhookEvent[] = [];
    const { workos, deliver } = await receiving({ secret: SECRET, onEvent: (event) => heard.push(event) });
    const delivery = workos.webhook('user.updated', { id: 'user_1' });
    expect((await deliver(delivery)).status).toBe(200);
    expect((await deliver(delivery)).status).toBe(400);
    expect(heard).toHaveLength(1);
  });

  test('is accepted again if onEvent failed', async () => {
    let calls = 0;
    const { workos, deliver } = await receiving({
      secret: SECRET,
      onEvent: () => {
        calls += 1;
        if (calls === 1) throw new Error('no database');
      },
    });
    const delivery = workos.webhook('user.updated', { id: 'user_1' });
    expect((await deliver(delivery)).status).toBe(503);
    expect((await deliver(delivery)).status).toBe(200);
    expect((await deliver(delivery)).status).toBe(400);
  });

  test('is accepted once also if its signature comes from the future', async () => {
    const { workos, deliver } = await receiving({ secret: SECRET });
    const timestamp = workos.options.now() + 170_000;
    const delivery = workos.webhook('user.updated', { id: 'user_1' }, { timestamp });
    expect((await deliver(delivery)).status).toBe(200);
    workos.clock.advance(200_000);
    // Its signature is still valid.
    expect((await deliver(delivery)).status).toBe(400);
    expect(JSON.parse((await deliver(delivery)).body)).toMatchObject({
      message: 'this delivery has been received before',
    });
  });
});

describe('the secret', () => {
  const before = process.env['WORKOS_WEBHOOK_SECRET'];
  afterEach(() => {
    if (before === undefined) delete process.env['WORKOS_WEBHOOK_SECRET'];
    else process.env['WORKOS_WEBHOOK_SECRET'] = before;
  });

  test('comes from WORKOS_WEBHOOK_SECRET if it is not passed', async () => {
    process.env['WORKOS_WEBHOOK_SECRET'] = SECRET;
    for (const options of [undefined, {}]) {
      const { workos, deliver } = await receiving(options);
      expect((await deliver(workos.webhook('user.updated', { id: 'user_1' }))).status).toBe(200);
    }
    const other = await receiving({ secret: 'another-secret' });
    expect((await other.deliver(other.workos.webhook('user.updated', { id: 'user_1' }))).status).toBe(400);
  });

  test('has at least eight characters, each of several too', async () => {
    const { auth } = await createTestApp('express5');
    expect(() => auth.webhooks({ secret: '12345678' })).not.toThrow();
    expect(() => auth.webhooks({ secret: ['12345678', 'abcdefgh'] })).not.toThrow();
    for (const secret of ['1234567', ['12345678', '1234567'], [['1', '2', '3', '4', '5', '6', '7', '8']], []])
      expect(() => auth.webhooks({ secret: secret as string[] })).toThrow(
        'auth.webhooks() needs the secret of the endpoint, which the WorkOS dashboard shows: set ' +
          'WORKOS_WEBHOOK_SECRET, or write auth.webhooks({ secret })',
      );
  });

  test('that is missing is an error that says what to write', async () => {
    delete process.env['WORKOS_WEBHOOK_SECRET'];
    const { auth } = await createTestApp('express5');
    expect(() => auth.webhooks()).toThrow(
      /set WORKOS_WEBHOOK_SECRET, or write auth\.webhooks\(\{ secret \}\)/,
    );
  });
});
