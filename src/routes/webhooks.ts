import { createHmac, timingSafeEqual } from 'node:crypto';
import type { AuthKitConfig } from '../config/index.js';
import { AuthKitError, unavailable } from '../errors.js';
import { publish, type WebhookProblem } from '../diagnostics.js';
import { expiringMap } from '../expiring-map.js';
import { rawBody } from '../http/body.js';
import { answerErrors, type RespondWithError } from '../http/error-response.js';
import { type Handler, type Middleware, middleware, type Request } from '../http/handler-to-middleware.js';
import { header, trimOWS } from '../http/request.js';
import { json } from '../http/response.js';
import { ownProperties } from '../plain-objects.js';
import { ENDED_FOR, type Revocation } from '../session/revocation.js';
import type { SignedStore } from '../stores/signed-store.js';

/** An event as WorkOS sent it. The property names in `data` are in snake_case. */
export interface WebhookEvent {
  readonly id: string;
  /** The type of the event, such as `session.revoked`. */
  readonly event: string;
  readonly data: Readonly<Record<string, unknown>>;
  /** The time at which the event was created, in ISO 8601 format. */
  readonly created_at: string;
}

export interface WebhookOptions {
  /**
   * The secret of the webhook endpoint, from the WorkOS dashboard. The default is the environment variable
   * `WORKOS_WEBHOOK_SECRET`. While you rotate secrets, pass a list: webhooks may be signed with any secret in the list.
   */
  secret?: string | readonly string[];
  /**
   * Called with every verified event, after the event has been applied to sessions. If this function throws, WorkOS
   * sends the event again.
   */
  onEvent?: (event: WebhookEvent) => unknown;
}

export interface WebhookDependencies {
  config: Pick<AuthKitConfig, 'clientId' | 'now' | 'timeout' | 'webhookSecret'>;
  revocation: Revocation;
  store: SignedStore | undefined;
  respondWithError: RespondWithError;
}

/** The maximum size of the request body, in bytes. All WorkOS events are smaller. */
const MAX_BODY = 1_048_576;

/** Creates the middleware of a webhook route. */
export type CreateWebhooks = (options?: WebhookOptions) => Middleware;

export function createWebhooks(dependencies: WebhookDependencies): CreateWebhooks {
  const { config, revocation, respondWithError } = dependencies;
  const { clientId, webhookSecret } = config;
  const claimDelivery = createDeliveryClaims(dependencies);
  const report = (
    outcome: 'accepted' | 'refused' | 'failed',
    reason?: WebhookProblem,
    event?: WebhookEvent,
  ) => {
    publish('webhook', { clientId, outcome, reason, event: event?.event, eventId: event?.id });
  };
  const refuse = (reason: WebhookRefusal, event?: WebhookEvent) => {
    report('refused', reason, event);
    return new AuthKitError('invalid_request', REFUSALS[reason]);
  };
  return (options = {}) => {
    const { secret = webhookSecret, onEvent } = ownProperties(options);
    const secrets = checkSecrets(secret);
    const receive: Handler = async (req, res) => {
      const received = await readDelivery(req, secrets, config);
      if (typeof received === 'string') throw refuse(received);
      const { event, sentAt, delivery } = received;
      const release = await claimDelivery(delivery);
      if (!release) throw refuse('replayed', event);
      const failure = await applyEvent(event, { revocation, sentAt, onEvent });
      if (failure) {
        // WorkOS will send the event again, and that delivery must not be refused as a repeat.
        await release();
        report('failed', failure.reason, event);
        throw failure.error;
      }
      report('accepted', undefined, event);
      return json(res, 200, { received: true });
    };
    return middleware(answerErrors(respondWithError, receive));
  };
}

type WebhookRefusal = Exclude<WebhookProblem, 'store' | 'handler'>;

/**
 * The error message for both an invalid signature and a webhook that is too old, so that an attacker cannot tell which
 * of the two was the reason.
 */
const SIGNATURE =
  'the signature is not valid: the secret is wrong, the body was changed, or it is more than 3 minutes old';

const REFUSALS: Readonly<Record<WebhookRefusal, string>> = {
  header: 'the request has no usable WorkOS-Signature header',
  body: 'the body could not be read: it is too large, was cut off, or did not arrive in time',
  signature: SIGNATURE,
  too_old: SIGNATURE,
  no_event: 'the body contains no event',
  replayed: 'this delivery has been received before',
};

/**
 * Validates the webhook secrets and returns them as a list.
 *
 * @throws {AuthKitError} `config_invalid` if there is no secret, or if a secret is too short.
 */
function checkSecrets(secret: unknown): readonly string[] {
  const secrets = [secret].flat();
  if (secrets.length > 0 && secrets.every((one) => typeof one === 'string' && one.length >= 8))
    return secrets as string[];
  throw new AuthKitError(
    'config_invalid',
    'auth.webhooks() needs the secret of the endpoint, which the WorkOS dashboard shows: set WORKOS_WEBHOOK_SECRET, ' +
      'or write auth.webhooks({ secret })',
  );
}

interface Delivery {
  readonly event: WebhookEvent;
  /** When WorkOS sent this delivery, in milliseconds since the epoch, according to WorkOS's clock. */
  readonly sentAt: number;
  /** A string that identifies this delivery of the event. */
  readonly delivery: string;
}

/**
 * Reads and verifies a delivery. If the delivery is refused, for example, because WorkOS did not sign it, returns the
 * reason.
 */
async function readDelivery(
  req: Request,
  secrets: readonly string[],
  { now, timeout }: WebhookDependencies['config'],
): Promise<Delivery | WebhookRefusal> {
  const signature = parseSignature(header(req, 'workos-signature'));
  if (!signature) return 'header';
  const body = await rawBody(req, { maxBytes: MAX_BODY, timeout });
  if (!body) return 'body';
  if (!isSignedBy(secrets, signature, body)) return 'signature';
  const sentAt = Number(signature.timestamp);
  if (Math.abs(now() - sentAt) > TOLERANCE) return 'too_old';
  const event = parseEvent(body);
  if (!event) return 'no_event';
  return { event, sentAt, delivery: signPayload(signature.timestamp, body, secrets[0] ?? '') };
}

function parseEvent(body: Buffer): WebhookEvent | undefined {
  try {
    const value = JSON.parse(body.toString('utf8')) as Partial<Record<keyof WebhookEvent, unknown>> | null;
    const { id, event, data } = value ?? {};
    const isEvent =
      typeof id === 'string' && typeof event === 'string' && typeof data === 'object' && data !== null;
    return isEvent ? (value as unknown as WebhookEvent) : undefined;
  } catch {
    return undefined;
  }
}

interface ApplyContext {
  readonly revocation: Revocation;
  readonly sentAt: number;
  readonly onEvent: WebhookOptions['onEvent'];
}

/**
 * Applies an event to the sessions of this application and passes it to `onEvent`. If either step fails, returns the
 * reason and the error.
 */
async function applyEvent(
  event: WebhookEvent,
  { revocation, sentAt, onEvent }: ApplyContext,
): Promise<{ readonly reason: 'store' | 'handler'; readonly error: AuthKitError } | undefined> {
  const { id, user_id: userId } = event.data;
  if (!(await revoke(event.event, textOf(id), textOf(userId), revocation, sentAt))) {
    const message = 'the store is unavailable, so the other processes have not been told';
    return { reason: 'store', error: unavailable(message) };
  }
  try {
    await onEvent?.(event);
    return undefined;
  } catch (cause) {
    const error = cause instanceof AuthKitError ? cause : unavailable('onEvent failed', { cause });
    return { reason: 'handler', error };
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/**
 * Applies an event to this application's sessions. Resolves to false if the store is unavailable.
 *
 * A change to a user affects the tokens that were issued before `sentAt`. Both `sentAt` and the time in a token come
 * from WorkOS, so a difference between the clocks of WorkOS and this server has no effect: an outdated token does not
 * stay valid, and a new token is not refreshed again and again.
 *
 * `sentAt` may be later than the event, for example if WorkOS sends the event again. Tokens that were issued in between
 * are then refreshed once more than necessary. The earlier time in the event is not used, because a token that was
 * issued while the change took effect could keep a removed role.
 */
function revoke(
  event: string,
  id: string,
  userId: string,
  revocation: Revocation,
  sentAt: number,
): Promise<boolean> {
  if (event === 'session.revoked') return revocation.endSession(id);
  // Tokens that WorkOS issues to a deleted user within the next day are revoked too. This cannot affect a new sign-in,
  // because a deleted user cannot sign in again.
  if (event === 'user.deleted') return revocation.endUser(id, sentAt + ENDED_FOR);
  if (event === 'user.updated') return revocation.changeUser(id, sentAt);
  if (event.startsWith('organization_membership.')) return revocation.changeUser(userId, sentAt);
  return Promise.resolve(true);
}

/**
 * Creates a function that claims deliveries, so that each delivery is accepted only once. With a store, a delivery is
 * accepted once across all processes. Without a store, it is accepted once in each process.
 *
 * @returns A function that claims a delivery. Its promise resolves to a function that releases the claim, or to
 * `undefined` if the delivery was claimed before.
 */
function createDeliveryClaims({ store, config: { now } }: WebhookDependencies) {
  const claimed = expiringMap<true>({ max: 10_000, ttl: REPLAYABLE_FOR, now });
  return async (delivery: string): Promise<(() => Promise<unknown>) | undefined> => {
    if (claimed.has(delivery)) return undefined;
    claimed.set(delivery, true);
    const entry = await store?.add('webhook', delivery, 'taken', REPLAYABLE_FOR);
    if (entry?.kind === 'taken') return undefined;
    return async () => {
      claimed.delete(delivery);
      if (store && entry?.kind === 'hit') await store.release('webhook', delivery, entry);
    };
  };
}

/**
 * How far the timestamp of a signature may be from the current time, in milliseconds. The WorkOS SDK uses the same
 * tolerance.
 */
const TOLERANCE = 180_000;

/** A parsed `WorkOS-Signature` header, which has the format `t=<milliseconds>, v1=<hex>`. */
export interface Signature {
  readonly timestamp: string;
  readonly macs: readonly string[];
}

/**
 * Parses a `WorkOS-Signature` header. Returns `undefined` if the header is missing or malformed.
 *
 * @see https://workos.com/docs/events/data-syncing/webhooks
 */
function parseSignature(header: string | undefined): Signature | undefined {
  const parts = (header ?? '')
    .slice(0, 1024)
    .split(',')
    .map((part) => trimOWS(part).split('='));
  const valuesOf = (name: string) => parts.flatMap(([key, value = '']) => (key === name ? [value] : []));
  const [timestamp, ...more] = valuesOf('t');
  const macs = valuesOf('v1').filter((mac) => /^[0-9a-f]{64}$/.test(mac));
  if (timestamp === undefined || more.length > 0 || !/^\d{1,15}$/.test(timestamp) || macs.length === 0)
    return undefined;
  return { timestamp, macs };
}

/** Whether the body was signed with one of the secrets. */
function isSignedBy(secrets: readonly string[], { timestamp, macs }: Signature, body: Buffer): boolean {
  const expected = secrets.map((secret) => signPayload(timestamp, body, secret));
  return macs.some((mac) =>
    expected.some((valid) => timingSafeEqual(Buffer.from(mac, 'hex'), Buffer.from(valid, 'hex'))),
  );
}

/** Returns the HMAC-SHA256 of `<timestamp>.<body>`, in hex. */
export function signPayload(timestamp: string, body: Buffer | string, secret: string): string {
  return createHmac('sha256', secret).update(`${timestamp}.`).update(body).digest('hex');
}

/**
 * How long a delivery must be remembered to prevent replays, in milliseconds. If the timestamp of a signature is in the
 * future, the signature is valid for up to twice the tolerance.
 */
const REPLAYABLE_FOR = TOLERANCE * 2;
