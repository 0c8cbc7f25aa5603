import { canParse } from '../url-can-parse.js';
import { isInsecureOrigin, USE_HTTPS } from './insecure-http.js';
import type { Problems } from './collect-problems.js';

/** Reads a list of origins. Returns `undefined` if the list is invalid. */
export function readOrigins(name: string, value: unknown, problems: Problems): readonly string[] | undefined {
  // The list is copied before it is checked, so that the items that are used are the items that were checked. In the
  // copy, holes become `undefined`.
  const origins: unknown[] | undefined = Array.isArray(value ?? [])
    ? Array.from((value ?? []) as [])
    : undefined;
  if (origins?.every(isOrigin)) return Object.freeze(origins);
  problems.add(`${name} must be a list of origins, such as ["https://admin.example.com"]`);
  return undefined;
}

/**
 * Reads the origins whose pages may use the session cookie. An origin that is not on this machine must use https,
 * because an attacker on the network can add scripts to any page that is sent over http. With `allowInsecureHttp`, http
 * is accepted.
 */
export function readTrustedOrigins(
  value: unknown,
  isHttpAllowed: boolean,
  problems: Problems,
): readonly string[] {
  const origins = readOrigins('trustedOrigins', value, problems) ?? [];
  for (const origin of isHttpAllowed ? [] : origins.filter(isInsecureOrigin)) {
    problems.add(
      `trustedOrigins contains ${origin}: an attacker on the network could change its pages, which may use the session ` +
        `cookie: ${USE_HTTPS}`,
    );
  }
  return origins;
}

/**
 * Whether a value is an origin in the format that browsers send (RFC 6454 section 6.2): scheme, host, and the port if
 * it is not the default.
 */
export function isOrigin(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    value !== 'null' &&
    !value.includes('*') &&
    canParse(value) &&
    new URL(value).origin === value
  );
}
