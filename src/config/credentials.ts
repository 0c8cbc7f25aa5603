import { createHash } from 'node:crypto';
import { canParse } from '../url-can-parse.js';
import { isLoopback, refuseInsecureHttp } from './insecure-http.js';
import { type Problems, variable, withoutQuotes } from './collect-problems.js';
import { isRecord } from '../plain-objects.js';

const MIN_BYTES = 32;

const MIN_CHARACTERS = 10;

/**
 * Matches a value of visible ASCII characters, such as an API key, which is sent in a header. Without this check, an
 * invalid character would not cause an error until the first call to WorkOS.
 */
const WORD = /^[\u0021-\u007e]+$/;

/**
 * Matches a value without spaces or control characters. Letters of any script are allowed, because a host name may
 * contain them.
 */
const ADDRESS = /^[^\u0000-\u0020\u007f]+$/;

interface Value {
  /** The value, or an empty string if the value is missing or invalid. */
  readonly text: string;
  /** The option or the environment variable that the value comes from. */
  readonly source: string;
}

type RequiredOption = 'clientId' | 'apiKey' | 'redirectUri';

/** Returns the name of an option's environment variable, such as `WORKOS_CLIENT_ID` for `clientId`. */
function variableOf(option: string): string {
  return `WORKOS_${option.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

/** Reads a required option, or its environment variable if the option is not set. */
function readRequired(
  option: RequiredOption,
  value: unknown,
  env: NodeJS.ProcessEnv,
  problems: Problems,
): Value {
  const name = variableOf(option);
  const source = value === undefined || value === null ? name : option;
  const found = value ?? variable(env, name);
  const form = option === 'redirectUri' ? ADDRESS : WORD;
  if (found === undefined) {
    problems.add(`${option} is missing: pass it, or set ${name}${similarVariable(name, env)}`);
  } else if (typeof found !== 'string') {
    problems.add(`${source} must be a string`);
  } else {
    const text = withoutQuotes(source, found, problems);
    if (form.test(text)) return { text, source };
    problems.add(`${source} must be a string without spaces or invisible characters`);
  }
  return { text: '', source };
}

/**
 * Returns a hint that names a variable with a similar name, which was probably set by mistake, such as
 * `NEXT_PUBLIC_WORKOS_REDIRECT_URI` or `WORKOS_CLIENTID`. If there is no such variable, returns an empty string.
 */
function similarVariable(name: string, env: NodeJS.ProcessEnv): string {
  const plain = (text: string) => text.toUpperCase().replace(/[^A-Z\d]/g, '');
  const wanted = plain(name);
  const similar = Object.keys(env).find(
    (key) => key !== name && plain(key).endsWith(wanted) && variable(env, key) !== undefined,
  );
  return similar === undefined ? '' : ` (${similar} is set, but it is not read)`;
}

export function readRedirectUri(value: unknown, env: NodeJS.ProcessEnv, problems: Problems): string {
  return readRequired('redirectUri', value, env, problems).text;
}

const COPY = 'copy it from the WorkOS dashboard, under API Keys';

/**
 * Placeholders that documentation and templates show after the prefix of a client ID or an API key. The patterns are
 * narrow, so that they do not match real keys, which are random.
 */
const PLACEHOLDER =
  /^(?:x{3,}|\.{3,}|…|\*{3,}|<.*>|\[.*\]|\{.*\}|your[-_ ].*|my[-_ ].*|example(?:[-_].*)?|placeholder|change[-_ ]?me|replace[-_ ]?me|todo|(?:0?123456789\d*)|abc123)$/i;

/**
 * Reads the client ID and the API key. Detects placeholders, wrong prefixes and swapped values without a call to
 * WorkOS.
 */
export function readCredentials(
  given: { clientId: unknown; apiKey: unknown },
  env: NodeJS.ProcessEnv,
  problems: Problems,
): { clientId: string; apiKey: string } {
  const clientId = readRequired('clientId', given.clientId, env, problems);
  const apiKey = readRequired('apiKey', given.apiKey, env, problems);
  if (clientId.text.startsWith('sk_') && apiKey.text.startsWith('client_')) {
    problems.add('clientId and apiKey are exchanged: client ids begin with client_, and API keys with sk_');
  } else {
    // The client IDs of older WorkOS environments begin with `project_`.
    checkPrefix(clientId, ['client_', 'project_'], problems);
    checkPrefix(apiKey, ['sk_'], problems);
  }
  return { clientId: clientId.text, apiKey: apiKey.text };
}

function checkPrefix(
  { text, source }: Value,
  prefixes: readonly [string, ...string[]],
  problems: Problems,
): void {
  if (text === '') return;
  const prefix = prefixes.find((candidate) => text.startsWith(candidate));
  const rest = text.slice(prefix?.length ?? 0).replace(/^(?:live|test)_/, '');
  if (rest === '' || PLACEHOLDER.test(rest)) problems.add(`${source} is still a placeholder: ${COPY}`);
  else if (prefix === undefined) problems.add(`${source} must begin with ${prefixes[0]}: ${COPY}`);
}

const MAKE_ONE = 'Create one with: npx authkit-express secret';

/**
 * SHA-256 hash of the cookie password that the test WorkOS of `authkit-express/testing` uses. That password is public.
 */
const TEST_PASSWORD = '72e70cd29c41b9d1244da41f71845a99c20051184ddb97c6d99fec8379ee363a';

/**
 * Reads the cookie passwords. The first one is used to encrypt, and all of them are used to decrypt.
 *
 * @param api The address of the WorkOS API. The public password of the test WorkOS is accepted only if this is a
 * loopback address.
 */
export function readCookiePasswords(
  value: unknown,
  env: NodeJS.ProcessEnv,
  api: Api,
  problems: Problems,
): [string, ...string[]] {
  const given = [value ?? variable(env, 'WORKOS_COOKIE_PASSWORD') ?? []].flat() as unknown[];
  const name = value === undefined ? 'WORKOS_COOKIE_PASSWORD' : 'cookiePassword';
  const list = given.map((password) =>
    typeof password === 'string' ? withoutQuotes(name, password, problems) : password,
  );
  for (const [index, password] of list.entries()) {
    const weakness = weaknessOf(password, api);
    const which = list.length === 1 ? 'cookiePassword' : `cookiePassword ${index + 1}`;
    if (weakness) problems.add(`${which} ${weakness}. ${MAKE_ONE}`);
  }
  if (list.length === 0) {
    const similar = similarVariable('WORKOS_COOKIE_PASSWORD', env);
    problems.add(`cookiePassword is missing: pass it, or set WORKOS_COOKIE_PASSWORD${similar}. ${MAKE_ONE}`);
  }
  return list as [string, ...string[]];
}

const PASSWORD_PLACEHOLDER =
  /^<.*>$|^your[-_ ]|at[-_ ]least[-_ ]32|32[-_ ]char|change[-_ ]?me|replace[-_ ]?me/i;

/**
 * Returns why a password is too weak, or `undefined` if it is strong enough. iron-webcrypto derives keys from the
 * password with a single iteration, so the password itself must be hard to guess.
 */
function weaknessOf(password: unknown, api: Api): string | undefined {
  if (typeof password !== 'string') return 'must be a string';
  if (Buffer.byteLength(password) < MIN_BYTES || password.length < MIN_BYTES) {
    return `has fewer than ${MIN_BYTES} characters`;
  }
  if (new Set(password).size < MIN_CHARACTERS) return `has fewer than ${MIN_CHARACTERS} different characters`;
  // A password consists of a repeated shorter string if two joined copies of the password also contain it between the
  // starts of the two copies. For example, `abababab` contains `abab` at index 2.
  if ((password + password).indexOf(password, 1) < password.length) return 'is a shorter string repeated';
  if (PASSWORD_PLACEHOLDER.test(password)) return 'is still a placeholder';
  if (!isLoopback(api.hostname) && createHash('sha256').update(password).digest('hex') === TEST_PASSWORD) {
    return 'is that of the test WorkOS, which is public';
  }
  return undefined;
}

/** The address of the WorkOS API. */
export interface Api {
  readonly hostname: string;
  readonly https: boolean;
  readonly port: number | undefined;
  /** The origin of the API's URL, without a trailing slash. */
  readonly origin: string;
}

interface ApiOptions {
  apiHostname?: unknown;
  apiHttps?: unknown;
  apiPort?: unknown;
  workos?: unknown;
}

export function readApi(
  options: ApiOptions,
  env: NodeJS.ProcessEnv,
  isHttpAllowed: boolean,
  problems: Problems,
): Api {
  const base = baseUrlOf(options.workos, problems);
  const hostname =
    options.apiHostname ?? variable(env, 'WORKOS_API_HOSTNAME') ?? base?.hostname ?? 'api.workos.com';
  const isBaseHttps = base ? base.protocol === 'https:' : true;
  const https = options.apiHttps ?? flag(variable(env, 'WORKOS_API_HTTPS')) ?? isBaseHttps;
  const port = options.apiPort ?? number(variable(env, 'WORKOS_API_PORT')) ?? number(base?.port);
  if (typeof https !== 'boolean') problems.add('apiHttps must be true or false');
  const isPort = typeof port === 'number' && Number.isInteger(port) && port > 0 && port < 65_536;
  if (port !== undefined && !isPort) problems.add('apiPort must be a port number, from 1 to 65535');
  // Invalid values are replaced with defaults, so the other checks can continue. The configuration is refused in any
  // case.
  const found = {
    hostname: typeof hostname === 'string' ? hostname : '',
    https: https !== false,
    port: isPort ? port : undefined,
  };
  const origin = originOf(found);
  if (origin === undefined) {
    problems.add('apiHostname must be a host name without scheme, port and path, such as "api.workos.com"');
  } else if (!found.https) {
    const sends = 'the API key and tokens';
    const { hostname: host } = new URL(origin);
    refuseInsecureHttp({ option: 'apiHttps: false', sends, hostname: host }, isHttpAllowed, problems);
  }
  return Object.freeze({ ...found, origin: origin ?? 'https://api.workos.com' });
}

/**
 * Returns the API origin in the format of the `iss` claim: in lower case, and without the default port. Returns
 * `undefined` if the host name is invalid.
 */
function originOf({ hostname, https, port }: Omit<Api, 'origin'>): string | undefined {
  if (!/^(?:[\w.-]+|\[[\da-f:.]+\])$/i.test(hostname)) return undefined;
  const address = `${https ? 'https' : 'http'}://${hostname}${port === undefined ? '' : `:${port}`}`;
  return canParse(address) ? new URL(address).origin : undefined;
}

/** Returns the base URL of the application's `WorkOS` client, or `undefined` if the client is missing or invalid. */
function baseUrlOf(workos: unknown, problems: Problems): URL | undefined {
  if (workos === undefined) return undefined;
  const base = isRecord(workos) ? workos['baseURL'] : undefined;
  if (typeof base === 'string' && canParse(base)) return new URL(base);
  problems.add('workos must be a WorkOS client of @workos-inc/node, such as new WorkOS(apiKey)');
  return undefined;
}

function flag(value: string | undefined): unknown {
  if (value === undefined) return undefined;
  const lower = value.toLowerCase();
  if (lower === 'true' || lower === '1') return true;
  return lower === 'false' || lower === '0' ? false : value;
}

/**
 * Converts the value of an environment variable to a number. Text that is not a number is returned unchanged, and is
 * refused when the option is checked.
 */
export function number(value: string | undefined): unknown {
  if (value === undefined || value === '') return undefined;
  return /^\d{1,12}$/.test(value) ? Number(value) : value;
}

/**
 * Reads the accepted values of the `iss` claim. By default, these are the values that WorkOS normally uses: the API
 * origin, with or without a trailing slash, and that origin followed by `/user_management/<client ID>`.
 */
export function readIssuers(
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
