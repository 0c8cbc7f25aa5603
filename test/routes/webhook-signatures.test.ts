import { afterEach, describe, expect, test } from 'vitest';
import type { WebhookEvent } from 'authkit-express';
import { send } from '../support/browser.js';
import { createTestApp } from '../support/app.js';

const SECRET = 'a-secret-for-test-webhooks';

/** An application without a store, and a function that sends it a webhook. */
async function receiving(
  options: Parameters<Awaited<ReturnType<typeof createTestApp>>['auth']['webhooks']>[0],
) {
  const at = await createTestApp('express5', {
    workos: { webhookSecret: SECRET },
    routes: (app, auth) => {
      app.route('/hook', auth.webhooks(options));
    },
  });
  const deliver = async ({ body, headers }: { body: string; headers: object }) =>
    send(`${at.origin}/hook`, { method: 'POST', body, headers: { ...headers } });
  return { ...at, deliver };
}

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

  test('that is missing is an error that says what to write', async () => {
    delete process.env['WORKOS_WEBHOOK_SECRET'];
    const { auth } = await createTestApp('express5');
    expect(() => auth.webhooks()).toThrow(
      /set WORKOS_WEBHOOK_SECRET, or write auth\.webhooks\(\{ secret \}\)/,
    );
  });
});
