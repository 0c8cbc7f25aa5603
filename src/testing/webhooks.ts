import { createHmac } from 'node:crypto';
import { checkNames } from './options.js';
import { newId } from './state/tokens.js';

/** A webhook request in the format that WorkOS sends. */
export interface TestWebhook {
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface TestWebhookOptions {
  /** Id of the event. Default: a new id. */
  id?: string;
  /** The timestamp in the signature, in milliseconds since the epoch. Default: the current time of `workos.clock`. */
  timestamp?: number;
  /** The secret that the webhook is signed with. Default: `workos.webhookSecret`. */
  secret?: string;
}

const WEBHOOK_OPTIONS: Readonly<Record<keyof TestWebhookOptions, true>> = {
  id: true,
  timestamp: true,
  secret: true,
};

/**
 * Creates a function that creates signed webhook requests. The function shares no code with `auth.webhooks()`, which
 * verifies such requests, so tests detect a mistake in either of them.
 *
 * @see https://workos.com/docs/events/data-syncing/webhooks
 */
export function createWebhookSigner(secret: string, now: () => number) {
  return (
    event: string,
    data: Readonly<Record<string, unknown>>,
    options: TestWebhookOptions = {},
  ): TestWebhook => {
    checkNames('webhook()', options, WEBHOOK_OPTIONS);
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
