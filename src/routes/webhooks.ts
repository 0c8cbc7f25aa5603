import { createHmac, timingSafeEqual } from 'node:crypto';
import type { AuthKitConfig } from '../config/index.js';
import { AuthKitError, unavailable } from '../errors.js';
import { log } from '../events.js';
import { expiringMap } from '../expiring-map.js';
import { rawBody } from '../http/body.js';
import { answerErrors, type RespondWithError } from '../http/error-response.js';
import { type Handler, type Middleware, middleware, type Request } from '../http/middleware.js';
import { header, trimOWS } from '../http/request.js';
import { json } from '../http/response.js';
import { ENDED_FOR, type Revocation } from '../session/revocation.js';
import type { SignedStore } from '../stores/signed-store.js';

/** An event as WorkOS sent it: the names in `data` are in snake_case. */
export interface WebhookEvent {
  readonly id: string;
  /** Such as `session.revoked`. */
  readonly event: string;
  readonly data: Readonly<Record<string, unknown>>;
  /** ISO 8601. */
  readonly created_at: string;
}

export interface WebhookOptions {
  /**
   * The secret of the endpoint, from the WorkOS dashboard; default `WORKOS_WEBHOOK_SECRET`. While you rotate secrets,
   * pass several: a webhook may be signed with any of them.
   */
  secret?: string | readonly string[];
  /** Receives every genuine event, after it took effect. If it throws, WorkOS sends the event again. */
  onEvent?: (event: WebhookEvent) => unknown;
}

export interface WebhookDependencies {
  config: Pick<AuthKitConfig, 'now' | 'timeout' | 'webhookSecret'>;
  revocation: Revocation;
  store: SignedStore | undefined;
  respondWithError: RespondWithError;
}

/** In bytes: more than any event of WorkOS. */
const MAX_BODY = 1_048_576;

/** Creates the middleware of a webhook route. */
export type CreateWebhooks = (options?: WebhookOptions) => Middleware;

export function createWebhooks(dependencies: WebhookDependencies): CreateWebhooks {
  const { config, revocation, respondWithError } = dependencies;
  const { now, timeout, webhookSecret } = config;
  const claimDelivery = createDeliveryClaims(dependencies);
  return ({ secret = webhookSecret, onEvent } = {}) => {
    const secrets = checkSecrets(secret);
    const receive: Handler = async (req, res) => {
      const { event, delivery } = await verifyEvent(req, secrets, now, timeout);
      const release = await claimDelivery(delivery);
      try {
        await applyEvent(event, revocation, now());
        await onEvent?.(event);
      } catch (error) {
        // WorkOS sends the event again, and then it must not count as a repetition.
        await release();
        throw error instanceof AuthKitError ? error : unavailable('onEvent failed', { cause: error });
      }
      return json(res, 200, { received: true });
    };
    return middleware(answerErrors(logged(respondWithError), receive));
  };
}

function logged(respondWithError: RespondWithError): RespondWithError {
  return (error, req, res) => {
    log('webhook', { refused: error.message });
    return respondWithError(error, req, res);
  };
}

/** @throws {AuthKitError} `config_invalid` */
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

/**
 * @throws {AuthKitError} `invalid_request` for a body that WorkOS did not sign, that it signed too long ago, or that
 * contains no event.
 */
async function verifyEvent(
  req: Request,
  secrets: readonly string[],
  now: () => number,
  timeout: number,
): Promise<{ event: WebhookEvent; delivery: string }> {
  const signature = parseSignature(header(req, 'workos-signature'));
  if (!signature) throw refused('the request has no usable WorkOS-Signature header');
  const body = await rawBody(req, { maxBytes: MAX_BODY, timeout });
  if (!body)
    throw refused('the body could not be read: it is too large, was cut off, or did not arrive in time');
  if (!isGenuine(signature, body, secrets, now()))
    throw refused(
      'the signature is not valid: the secret is wrong, the body was changed, or it is more than 3 minutes old',
    );
  const event = parseEvent(body);
  if (!event) throw refused('the body contains no event');
  return { event, delivery: signPayload(signature.timestamp, body, secrets[0] ?? '') };
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

/**
 * Applies an event to the sessions of this application.
 *
 * @throws {AuthKitError} `upstream_unavailable` if the other processes could not be told.
 */
async function applyEvent({ event, data }: WebhookEvent, revocation: Revocation, now: number): Promise<void> {
  const { id, user_id: userId } = data;
  log('webhook', { event, id, userId });
  if (!(await revoke(event, textOf(id), textOf(userId), revocation, now)))
    throw unavailable('the store is unavailable, so the other processes have not been told');
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function revoke(
  event: string,
  id: string,
  userId: string,
  revocation: Revocation,
  now: number,
): Promise<boolean> {
  if (event === 'session.revoked') return revocation.endSession(id);
  // A deleted user cannot sign in again, so tokens that WorkOS issues at this moment are revoked too.
  if (event === 'user.deleted') return revocation.endUser(id, now + ENDED_FOR);
  if (event === 'user.updated') return revocation.changeUser(id);
  if (event.startsWith('organization_membership.')) return revocation.changeUser(userId);
  return Promise.resolve(true);
}

/**
 * Accepts each delivery once: in all processes if there is a store, else in this process.
 *
 * @returns A function that claims a delivery and returns how to release it.
 */
function createDeliveryClaims({ store, config: { now } }: WebhookDependencies) {
  const claimed = expiringMap<true>({ max: 10_000, ttl: REPLAYABLE_FOR, now });
  return async (delivery: string): Promise<() => Promise<unknown>> => {
    if (claimed.has(delivery)) throw repeated();
    claimed.set(delivery, true);
    const entry = await store?.add('webhook', delivery, 'taken', REPLAYABLE_FOR);
    if (entry?.kind === 'taken') throw repeated();
    return async () => {
      claimed.delete(delivery);
      if (store && entry?.kind === 'hit') await store.release('webhook', delivery, entry);
    };
  };
}

function repeated(): AuthKitError {
  return refused('this delivery has been received before');
}

function refused(message: string): AuthKitError {
  return new AuthKitError('invalid_request', message);
}

/** How old a signature may be, in milliseconds: the tolerance of the WorkOS SDK. */
const TOLERANCE = 180_000;

/** A parsed `WorkOS-Signature` header: `t=<milliseconds>, v1=<hex>`. */
export interface Signature {
  readonly timestamp: string;
  readonly macs: readonly string[];
}

/** @see https://workos.com/docs/events/data-syncing/webhooks */
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

/** Whether a body was signed with one of the secrets, within the tolerance. */
function isGenuine(
  { timestamp, macs }: Signature,
  body: Buffer,
  secrets: readonly string[],
  now: number,
): boolean {
  if (Math.abs(now - Number(timestamp)) > TOLERANCE) return false;
  const expected = secrets.map((secret) => signPayload(timestamp, body, secret));
  return macs.some((mac) =>
    expected.some((valid) => timingSafeEqual(Buffer.from(mac, 'hex'), Buffer.from(valid, 'hex'))),
  );
}

/** HMAC-SHA256 over `<timestamp>.<body>`, in hex. */
export function signPayload(timestamp: string, body: Buffer | string, secret: string): string {
  return createHmac('sha256', secret).update(`${timestamp}.`).update(body).digest('hex');
}

/**
 * How long a delivery has to be remembered, in milliseconds, so that it is accepted once. A signature from the future
 * is valid for twice the tolerance.
 */
const REPLAYABLE_FOR = TOLERANCE * 2;
