import { createHmac, timingSafeEqual } from 'node:crypto';

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
    .map((part) => part.trim().split('='));
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
