import { createHmac } from 'node:crypto';
import { newId } from './state/tokens.js';

/** A request as WorkOS makes it to an endpoint for webhooks. */
export interface TestWebhook {
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface TestWebhookOptions {
  /** Default: the id of a new event. */
  id?: string;
  /** When it is said to be signed, in milliseconds since the epoch; default now. */
  timestamp?: number;
  /** Default `workos.webhookSecret`. */
  secret?: string;
}

/** Makes signed events. */
export function createWebhookSigner(secret: string, now: () => number) {
  return (
    event: string,
    data: Readonly<Record<string, unknown>>,
    options: TestWebhookOptions = {},
  ): TestWebhook => {
    const { id = newId('event'), timestamp = now() } = options;
    const body = JSON.stringify({
      object: 'event',
      id,
      event,
      data,
      created_at: new Date(now()).toISOString(),
    });
    const mac = createHmac('sha256', options.secret ?? secret)
      .update(`${timestamp}.${body}`)
      .digest('hex');
    return {
      body,
      headers: { 'content-type': 'application/json', 'workos-signature': `t=${timestamp}, v1=${mac}` },
    };
  };
}
