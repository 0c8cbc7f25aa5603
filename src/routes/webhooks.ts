import { createHmac, timingSafeEqual } from 'node:crypto';
import { AuthKitError, unavailable } from '../errors.js';
import { log } from '../events.js';
import { expiringMap } from '../expiring-map.js';
import { rawBody } from '../http/body.js';
import type { RespondWithError } from '../http/error-response.js';
import { type Middleware, middleware, type Request } from '../http/middleware.js';
import { header, trimOWS } from '../http/request.js';
import { json } from '../http/response.js';
import { ENDED_FOR, type Revocation } from '../session/revocation.js';
import type { SignedStore } from '../stores/signed-store.js';

/** An event of WorkOS's, as it sent it: the names in `data` are in snake_case. */
export interface WebhookEvent {
  readonly id: string;
  /** Such as `session.revoked`. */
  readonly event: string;
  readonly data: Readonly<Record<string, unknown>>;
  /** ISO 8601. */
  readonly created_at: string;
}

export interface WebhookOptions {
  /** Of the endpoint, from WorkOS's dashboard; of several, while they are rotated, any may have signed. */
  secret: string | readonly string[];
  /** Learns of every genuine event, after it took effect here. If it throws, WorkOS sends the event again. */
  onEvent?: (event: WebhookEvent) => unknown;
}

export interface WebhookDependencies {
  revocation: Revocation;
  store: SignedStore | undefined;
  answer: RespondWithError;
  now: () => number;
  /** For the body, in milliseconds. */
  timeout: number;
}

/** More than any event of WorkOS's, in bytes. */
const MAX_BODY = 1_048_576;

/** Makes receivers of WorkOS's webhooks. */
export type CreateWebhooks = (options: WebhookOptions) => Middleware;

export function createWebhooks(parts: WebhookDependencies): CreateWebhooks {
  const { answer, revocation, now } = parts;
  const claim = createClaims(parts);
  return (options) => {
    const secrets = secretsOf(options);
    return middleware(async (req, res) => {
      try {
        const { event, delivery } = await verifiedEvent(req, secrets, parts);
        const release = await claim(delivery);
        try {
          if (!(await apply(event, revocation, now())))
            throw unavailable('the store could not be reached, so the other processes do not know yet');
          await options.onEvent?.(event);
        } catch (error) {
          // WorkOS will send it again, and then it counts.
          await release();
          throw error instanceof AuthKitError ? error : unavailable('onEvent failed', { cause: error });
        }
        return json(res, 200, { received: true });
      } catch (error) {
        if (!(error instanceof AuthKitError)) throw error;
        log('webhook', { refused: error.message });
        return answer(error, req, res);
      }
    });
  };
}

function secretsOf({ secret }: WebhookOptions): readonly string[] {
  const secrets = [secret as unknown].flat();
  if (secrets.length > 0 && secrets.every((one) => typeof one === 'string' && one.length >= 8))
    return secrets as string[];
  throw new AuthKitError(
    'config_invalid',
    'auth.webhooks({ secret }) takes the secret of the endpoint, from the WorkOS dashboard',
  );
}

/** @throws {AuthKitError} `invalid_request` for a body that WorkOS did not sign, did not sign of late, or that is no event. */
async function verifiedEvent(
  req: Request,
  secrets: readonly string[],
  { now, timeout }: WebhookDependencies,
): Promise<{ event: WebhookEvent; delivery: string }> {
  const signature = parseSignature(header(req, 'workos-signature'));
  if (!signature) throw refused('the request has no usable WorkOS-Signature');
  const body = await rawBody(req, { maxBytes: MAX_BODY, timeout });
  if (!body || !isGenuine(signature, body, secrets, now()))
    throw refused('the signature does not hold: wrong secret, a changed body, or more than 3 minutes old');
  const event = parse(body);
  if (!event) throw refused('the body is no event');
  return { event, delivery: signPayload(signature.timestamp, body, secrets[0] ?? '') };
}

function parse(body: Buffer): WebhookEvent | undefined {
  try {
    const value = JSON.parse(body.toString('utf8')) as Partial<Record<keyof WebhookEvent, unknown>> | null;
    const { id, event, data } = value ?? {};
    const isWhole =
      typeof id === 'string' && typeof event === 'string' && typeof data === 'object' && data !== null;
    return isWhole ? (value as unknown as WebhookEvent) : undefined;
  } catch {
    return undefined;
  }
}

/** What an event changes here. False if the other processes could not be told. */
function apply({ event, data }: WebhookEvent, revocation: Revocation, now: number): Promise<boolean> {
  const { id, user_id: userId } = data;
  const text = (value: unknown) => (typeof value === 'string' ? value : '');
  log('webhook', { event, id, userId });
  if (event === 'session.revoked') return revocation.endSession(text(id));
  // Nobody signs in as a user who was deleted: tokens that WorkOS issues in this moment are over, too.
  if (event === 'user.deleted') return revocation.endUser(text(id), now + ENDED_FOR);
  if (event === 'user.updated') return revocation.changeUser(text(id));
  if (event.startsWith('organization_membership.')) return revocation.changeUser(text(userId));
  return Promise.resolve(true);
}

/** Takes a delivery once: in all processes where there is a store, else in this one. Returns how to give it back. */
function createClaims({ store, now }: WebhookDependencies) {
  const taken = expiringMap<true>({ max: 10_000, ttl: REPLAYABLE_FOR, now });
  return async (delivery: string): Promise<() => Promise<unknown>> => {
    if (taken.has(delivery)) throw refused('this delivery was taken before');
    taken.set(delivery, true);
    const claimed = await store?.add('webhook', delivery, 'taken', REPLAYABLE_FOR);
    if (claimed?.kind === 'taken') throw refused('this delivery was taken before');
    return async () => {
      taken.delete(delivery);
      if (store && claimed?.kind === 'hit') await store.release('webhook', delivery, claimed);
    };
  };
}

function refused(message: string): AuthKitError {
  return new AuthKitError('invalid_request', message);
}

/** WorkOS's own tolerance, in milliseconds. */
const TOLERANCE = 180_000;

/** What a `WorkOS-Signature` header says: `t=<milliseconds>, v1=<hex>`. */
export interface Signature {
  readonly timestamp: string;
  readonly macs: readonly string[];
}

/** @see https://workos.com/docs/events/data-syncing/webhooks */
export function parseSignature(header: string | undefined): Signature | undefined {
  const parts = (header ?? '')
    .slice(0, 1024)
    .split(',')
    .map((part) => trimOWS(part).split('='));
  const of = (name: string) => parts.flatMap(([key, value = '']) => (key === name ? [value] : []));
  const [timestamp, ...more] = of('t');
  const macs = of('v1').filter((mac) => /^[0-9a-f]{64}$/.test(mac));
  if (timestamp === undefined || more.length > 0 || !/^\d{1,15}$/.test(timestamp) || macs.length === 0)
    return undefined;
  return { timestamp, macs };
}

/** Signed by whoever knows a secret, and of late. */
export function isGenuine(
  { timestamp, macs }: Signature,
  body: Buffer,
  secrets: readonly string[],
  now: number,
): boolean {
  if (Math.abs(now - Number(timestamp)) > TOLERANCE) return false;
  const expected = secrets.map((secret) => signPayload(timestamp, body, secret));
  return macs.some((mac) =>
    expected.some((good) => timingSafeEqual(Buffer.from(mac, 'hex'), Buffer.from(good, 'hex'))),
  );
}

/** HMAC-SHA256 over `<timestamp>.<body>`, in hex. */
export function signPayload(timestamp: string, body: Buffer | string, secret: string): string {
  return createHmac('sha256', secret).update(`${timestamp}.`).update(body).digest('hex');
}

/** How long a signature has to be remembered so that it is not taken twice, in milliseconds. */
export const REPLAYABLE_FOR = TOLERANCE * 2;
