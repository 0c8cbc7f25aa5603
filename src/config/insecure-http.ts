import type { Problems } from './collect-problems.js';

const LOOPBACK = /^(?:localhost|.+\.localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/**
 * Whether a host name always refers to this machine (RFC 6761 section 6.3, RFC 6890). The host name must be in the form
 * that `URL` returns.
 */
export function isLoopback(hostname: string): boolean {
  return LOOPBACK.test(hostname.toLowerCase());
}

export function readAllowInsecureHttp(value: unknown, problems: Problems): boolean {
  if (value !== undefined && typeof value !== 'boolean')
    problems.add('allowInsecureHttp must be true or false');
  return value === true;
}

export const USE_HTTPS = 'use https, or set allowInsecureHttp: true if that network is private';

/** A use of http in an option. */
interface InsecureUse {
  readonly option: string;
  /** What http sends unencrypted. */
  readonly sends: string;
  readonly hostname: string;
}

/**
 * Reports the use of http for a host other than this machine, unless it is allowed. An attacker on the network could
 * read and change the unencrypted data (RFC 9700 section 2.6).
 */
export function refuseInsecureHttp(
  { option, sends, hostname }: InsecureUse,
  isAllowed: boolean,
  problems: Problems,
): void {
  if (isAllowed || isLoopback(hostname)) return;
  problems.add(`${option} uses http, which sends ${sends} unencrypted to ${hostname}: ${USE_HTTPS}`);
}

/** Whether an origin uses http on a host other than this machine. */
export function isInsecureOrigin(origin: string): boolean {
  const { protocol, hostname } = new URL(origin);
  return protocol === 'http:' && !isLoopback(hostname);
}
