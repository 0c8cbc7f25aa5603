import type { CookieConfig } from '../http/cookies.js';
import { number } from './credentials.js';
import { isRecord, type Problems, variable } from './problems.js';
import { COOKIE_ADVICE } from './suggestions.js';

/** 400 days, the longest that browsers keep a cookie (RFC 6265bis section 5.5). In seconds. */
const LONGEST = 34_560_000;

/** RFC 6265 section 4.1.1, `token`. */
const NAME = /^[\w!#$%&'*+\-.^`|~]{1,64}$/;

const DOMAIN = /^(?!-)[a-z\d-]{1,63}(?:\.(?!-)[a-z\d-]{1,63})+$/i;

const KEYS = { name: true, domain: true, sameSite: true, maxAge: true } as const;

/** Reads and checks the cookie options. It refuses a cookie that browsers would silently discard. */
export function cookie(
  value: unknown,
  env: NodeJS.ProcessEnv,
  defaultName: string,
  redirect: URL,
  problems: Problems,
): CookieConfig {
  const given = value ?? {};
  if (!isRecord(given)) problems.add('cookie must be an object: { name, domain, sameSite, maxAge }');
  const options = isRecord(given) ? given : {};
  problems.unknownKeys('cookie option', options, KEYS, COOKIE_ADVICE);
  const sameSite =
    variable(env, 'WORKOS_COOKIE_SAMESITE') ?? variable(env, 'WORKOS_COOKIE_SAME_SITE') ?? 'lax';
  const config = {
    name: (options['name'] ?? defaultName) as string,
    domain: (options['domain'] ?? variable(env, 'WORKOS_COOKIE_DOMAIN')) as string | undefined,
    sameSite: (options['sameSite'] ?? sameSite.toLowerCase()) as CookieConfig['sameSite'],
    maxAge: (options['maxAge'] ?? number(variable(env, 'WORKOS_COOKIE_MAX_AGE')) ?? LONGEST) as number,
    secure: redirect.protocol === 'https:',
  };
  checkName(config, problems);
  checkDomain(config.domain, redirect, problems);
  checkSameSite(config, problems);
  checkMaxAge(config.maxAge, problems);
  return Object.freeze(config);
}

function checkName({ name, domain, secure }: CookieConfig, problems: Problems): void {
  if (typeof name !== 'string' || !NAME.test(name)) {
    problems.add("cookie.name must be 1 to 64 letters, digits or !#$%&'*+-.^_`|~");
  } else if (/^__(?:host|secure|http)-/i.test(name) && !secure) {
    problems.add(`cookie.name "${name}" needs a redirectUri with https`);
  } else if (/^__host-/i.test(name) && domain !== undefined) {
    problems.add(`cookie.name "${name}" excludes cookie.domain`);
  }
}

function checkDomain(domain: unknown, { hostname }: URL, problems: Problems): void {
  if (domain === undefined) return;
  if (typeof domain !== 'string' || !DOMAIN.test(domain)) {
    problems.add('cookie.domain must be a registrable domain such as "example.com"');
  } else if (hostname !== domain.toLowerCase() && !hostname.endsWith(`.${domain.toLowerCase()}`)) {
    problems.add(`cookie.domain must be ${hostname} of redirectUri, or a domain above it`);
  }
}

function checkSameSite({ sameSite, secure }: CookieConfig, problems: Problems): void {
  if (!['lax', 'strict', 'none'].includes(sameSite)) {
    problems.add('cookie.sameSite must be "lax", "strict" or "none"');
  } else if (sameSite === 'none' && !secure) {
    problems.add('cookie.sameSite "none" needs a redirectUri with https');
  }
}

function checkMaxAge(maxAge: unknown, problems: Problems): void {
  if (!Number.isSafeInteger(maxAge) || Number(maxAge) < 1) {
    problems.add('cookie.maxAge must be a whole number of seconds, at least 1');
  } else if (Number(maxAge) > LONGEST) {
    problems.add(`cookie.maxAge is in seconds, at most ${LONGEST} (400 days); this looks like milliseconds`);
  }
}
