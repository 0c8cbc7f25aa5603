import type { Config } from '../config/index.js';
import { BadReply } from '../upstream.js';
import type { WorkOSDoor } from '../workos.js';
import { found, type Finding } from './finding.js';

/** Clocks may differ by this much before a session is judged wrongly, in seconds. */
const TOLERABLE_SKEW = 5;
const DANGEROUS_SKEW = 30;

export async function keysAndClock({ now, api }: Config, door: WorkOSDoor): Promise<Finding[]> {
  try {
    const response = await door.askForKeys();
    const { keys = [] } = (await response.json()) as { keys?: unknown[] };
    const { length } = keys;
    return [
      length > 0
        ? found(
            'keys',
            'ok',
            `${api.origin} is reachable, and has ${length === 1 ? 'a key' : `${length} keys`}.`,
          )
        : found('keys', 'problem', `${api.origin} has no keys for this client: check WORKOS_CLIENT_ID.`),
      ...clock(now(), Date.parse(response.headers.get('date') ?? '')),
    ];
  } catch (error) {
    const { status, message } = BadReply.in(error) ?? { status: undefined, message: 'no answer' };
    const fix = status === 404 ? 'check WORKOS_CLIENT_ID' : 'check the network, and apiHostname if it is set';
    return [found('keys', 'problem', `The keys of ${api.origin} could not be had, ${message}: ${fix}.`)];
  }
}

function clock(here: number, there: number): Finding[] {
  if (Number.isNaN(there)) return [];
  const skew = Math.round((here - there) / 1000);
  const size = Math.abs(skew);
  if (size <= TOLERABLE_SKEW) return [found('clock', 'ok', 'The clock agrees with that of WorkOS.')];
  const side = skew > 0 ? 'ahead of' : 'behind';
  const message = `The clock is ${size} s ${side} that of WorkOS: set it by NTP, or tokens are judged wrongly.`;
  return [found('clock', size > DANGEROUS_SKEW ? 'problem' : 'warning', message)];
}

/** A refresh token that cannot exist: who is refused for that, and not for the key, has the right key. */
export async function credentials(door: WorkOSDoor): Promise<Finding> {
  const answer = await door.refresh('authkit-express-doctor', undefined);
  if (answer.kind !== 'unreachable')
    return found('credentials', 'ok', 'WorkOS accepts the API key and the client id.');
  const reply = BadReply.in(answer.error.cause);
  const status = reply?.status;
  if (status === 401 || status === 403 || status === 404) {
    const message = `WorkOS answers ${status}: the API key and the client id are not of one environment, or one is wrong.`;
    return found('credentials', 'problem', message);
  }
  return found(
    'credentials',
    'warning',
    `Whether the API key is right could not be told: ${answer.error.message}.`,
  );
}
