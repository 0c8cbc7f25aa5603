import type { Config } from '../config/index.js';
import { UpstreamError } from '../upstream.js';
import type { WorkOSClient } from '../workos.js';
import { finding, type Finding } from './finding.js';

/** Clocks may differ by this much before a session is judged wrongly, in seconds. */
const TOLERABLE_SKEW = 5;
const DANGEROUS_SKEW = 30;

export async function keysAndClock({ now, api }: Config, workos: WorkOSClient): Promise<Finding[]> {
  try {
    const response = await workos.fetchKeysResponse();
    const { keys = [] } = (await response.json()) as { keys?: unknown[] };
    const { length } = keys;
    return [
      length > 0
        ? finding(
            'keys',
            'ok',
            `${api.origin} is reachable, and has ${length === 1 ? 'a key' : `${length} keys`}.`,
          )
        : finding('keys', 'problem', `${api.origin} has no keys for this client: check WORKOS_CLIENT_ID.`),
      ...clock(now(), Date.parse(response.headers.get('date') ?? '')),
    ];
  } catch (error) {
    const { status, message } = UpstreamError.from(error) ?? { status: undefined, message: 'no answer' };
    const fix = status === 404 ? 'check WORKOS_CLIENT_ID' : 'check the network, and apiHostname if it is set';
    return [finding('keys', 'problem', `The keys of ${api.origin} could not be had, ${message}: ${fix}.`)];
  }
}

function clock(here: number, there: number): Finding[] {
  if (Number.isNaN(there)) return [];
  const skew = Math.round((here - there) / 1000);
  const size = Math.abs(skew);
  if (size <= TOLERABLE_SKEW) return [finding('clock', 'ok', 'The clock agrees with that of WorkOS.')];
  const side = skew > 0 ? 'ahead of' : 'behind';
  const message = `The clock is ${size} s ${side} that of WorkOS: set it by NTP, or tokens are judged wrongly.`;
  return [finding('clock', size > DANGEROUS_SKEW ? 'problem' : 'warning', message)];
}

/** A refresh token that cannot exist: who is refused for that, and not for the key, has the right key. */
export async function credentials(workos: WorkOSClient): Promise<Finding> {
  const answer = await workos.refresh('authkit-express-doctor', undefined);
  if (answer.kind !== 'unavailable')
    return finding('credentials', 'ok', 'WorkOS accepts the API key and the client id.');
  const reply = UpstreamError.from(answer.error.cause);
  const status = reply?.status;
  if (status === 401 || status === 403 || status === 404) {
    const message = `WorkOS answers ${status}: the API key and the client id are not of one environment, or one is wrong.`;
    return finding('credentials', 'problem', message);
  }
  return finding(
    'credentials',
    'warning',
    `Whether the API key is right could not be told: ${answer.error.message}.`,
  );
}
