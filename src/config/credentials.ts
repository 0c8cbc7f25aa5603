import { isRecord, type Problems, variable } from './problems.js';

const MIN_BYTES = 32;

const MIN_CHARACTERS = 10;

/** What goes into a header is visible ASCII; the rest would fail there, long after the start. */
const WORD = /^[\u0021-\u007e]+$/;

/** An address may have a name in any script. */
export const ADDRESS = /^[^\u0000-\u0020\u007f]+$/;

/**
 * A value that there is no default for. What came from the environment is named as such.
 *
 * @param form What it is made of.
 */
export function required(
  option: string,
  value: unknown,
  env: NodeJS.ProcessEnv,
  problems: Problems,
  form = WORD,
): string {
  const name = `WORKOS_${option.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
  const found = value ?? variable(env, name);
  if (typeof found === 'string' && form.test(found)) return found;
  problems.add(
    found === undefined
      ? `${option} is missing: pass it, or set ${name}`
      : `${option} must be a string without spaces or invisible characters`,
  );
  return '';
}

/** Passwords of the cookie seals: the first seals, all of them open. */
export function passwords(value: unknown, env: NodeJS.ProcessEnv, problems: Problems): [string, ...string[]] {
  const list = [value ?? variable(env, 'WORKOS_COOKIE_PASSWORD') ?? []].flat();
  for (const [index, password] of list.entries()) {
    const weakness = weaknessOf(password);
    if (weakness)
      problems.add(`cookiePassword ${index + 1} ${weakness}. Make one with: npx authkit-express secret`);
  }
  if (list.length === 0) {
    problems.add(
      'cookiePassword is missing: pass it, or set WORKOS_COOKIE_PASSWORD. Make one with: npx authkit-express secret',
    );
  }
  return list as [string, ...string[]];
}

/** iron stretches a password by one round only, so the password has to be hard to guess by itself. */
function weaknessOf(password: unknown): string | undefined {
  if (typeof password !== 'string') return 'must be a string';
  if (Buffer.byteLength(password) < MIN_BYTES || password.length < MIN_BYTES) {
    return `has fewer than ${MIN_BYTES} characters`;
  }
  if (new Set(password).size < MIN_CHARACTERS) return `has fewer than ${MIN_CHARACTERS} different characters`;
  // A string is a shorter one repeated if it occurs inside itself, doubled, before its own length.
  if ((password + password).indexOf(password, 1) < password.length) return 'is a shorter string repeated';
  return undefined;
}

/** Where WorkOS's API is, and which issuers its tokens may name. */
export interface Api {
  readonly hostname: string;
  readonly https: boolean;
  readonly port: number | undefined;
  /** Without a trailing slash. */
  readonly origin: string;
}

interface ApiOptions {
  apiHostname?: unknown;
  apiHttps?: unknown;
  apiPort?: unknown;
  workos?: unknown;
}

export function api(options: ApiOptions, env: NodeJS.ProcessEnv, problems: Problems): Api {
  const lent = lentBase(options.workos, problems);
  const hostname =
    options.apiHostname ?? variable(env, 'WORKOS_API_HOSTNAME') ?? lent?.hostname ?? 'api.workos.com';
  const lentHttps = lent ? lent.protocol === 'https:' : true;
  const https = options.apiHttps ?? flag(variable(env, 'WORKOS_API_HTTPS')) ?? lentHttps;
  const port = options.apiPort ?? number(variable(env, 'WORKOS_API_PORT')) ?? number(lent?.port);
  if (typeof https !== 'boolean') problems.add('apiHttps must be true or false');
  const isPort = typeof port === 'number' && Number.isInteger(port) && port > 0 && port < 65_536;
  if (port !== undefined && !isPort) problems.add('apiPort must be a port number');
  // Where a check failed, the default stands in: nobody will read it, and the other checks go on.
  const found = {
    hostname: typeof hostname === 'string' ? hostname : '',
    https: https !== false,
    port: isPort ? port : undefined,
  };
  const origin = originOf(found);
  if (origin === undefined) problems.add('apiHostname must be a host name, such as "api.workos.com"');
  return Object.freeze({ ...found, origin: origin ?? 'https://api.workos.com' });
}

/** In the one form that tokens name it in: lower case, and no port that the scheme implies. */
function originOf({ hostname, https, port }: Omit<Api, 'origin'>): string | undefined {
  if (!/^(?:[\w.-]+|\[[\da-f:.]+\])$/i.test(hostname)) return undefined;
  const address = `${https ? 'https' : 'http'}://${hostname}${port === undefined ? '' : `:${port}`}`;
  return URL.canParse(address) ? new URL(address).origin : undefined;
}

function lentBase(workos: unknown, problems: Problems): URL | undefined {
  if (workos === undefined) return undefined;
  const base = isRecord(workos) ? workos['baseURL'] : undefined;
  if (typeof base === 'string' && URL.canParse(base)) return new URL(base);
  problems.add('workos must be a WorkOS of @workos-inc/node');
  return undefined;
}

function flag(value: string | undefined): unknown {
  if (value === undefined) return undefined;
  return { true: true, '1': true, false: false, '0': false }[value.toLowerCase()] ?? value;
}

/** A number as the environment has it. What is not one stays as it is, for the check to refuse. */
export function number(value: string | undefined): unknown {
  if (value === undefined || value === '') return undefined;
  return /^\d{1,12}$/.test(value) ? Number(value) : value;
}

/** The forms in which WorkOS is known to mint `iss`: the API origin, with or without a slash, and per client. */
export function issuers(
  value: unknown,
  env: NodeJS.ProcessEnv,
  { origin }: Api,
  clientId: string,
  problems: Problems,
): readonly string[] {
  const named = value ?? variable(env, 'WORKOS_ISSUER');
  if (named === undefined)
    return Object.freeze([origin, `${origin}/`, `${origin}/user_management/${clientId}`]);
  const list = [named].flat();
  if (list.length === 0 || !list.every((issuer) => typeof issuer === 'string' && issuer !== '')) {
    problems.add('issuer must be a string or a list of strings');
  }
  return Object.freeze(list as string[]);
}
