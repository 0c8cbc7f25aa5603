/**
 * A strict `Set-Cookie` parser, written for the tests from RFC 6265bis section 4.1.1 (what a server may send) and
 * section 5.6 (what a browser would silently drop). It shares no code with the package or with any library.
 */
export interface StrictCookie {
  name: string;
  value: string;
  attributes: ReadonlyMap<string, string | undefined>;
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** cookie-octet: no control characters, whitespace, quotes, commas, semicolons or backslashes. */
const OCTETS = /^[\u0021\u0023-\u002b\u002d-\u003a\u003c-\u005b\u005d-\u007e]*$/;
const DOMAIN = /^(?:[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?)(?:\.[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?)*$/i;
const PATH = /^\/[\u0020-\u003a\u003c-\u007e]*$/;
const DATE = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/;
const LONGEST = 34_560_000;

const ATTRIBUTES: Record<string, (value: string | undefined) => boolean> = {
  'max-age': (value) => value !== undefined && /^(?:0|[1-9]\d*)$/.test(value) && Number(value) <= LONGEST,
  expires: (value) => value !== undefined && DATE.test(value),
  domain: (value) => value !== undefined && DOMAIN.test(value),
  path: (value) => value !== undefined && PATH.test(value),
  samesite: (value) => value !== undefined && /^(?:Strict|Lax|None)$/.test(value),
  priority: (value) => value !== undefined && /^(?:Low|Medium|High)$/.test(value),
  secure: (value) => value === undefined,
  httponly: (value) => value === undefined,
  partitioned: (value) => value === undefined,
};

/** @throws {Error} for a line that breaks the syntax, or that a browser would drop or truncate. */
export function parseSetCookie(line: string): StrictCookie {
  const fail = (why: string): never => {
    throw new Error(`Set-Cookie ${why}: ${line.slice(0, 60)}… ${line.slice(-90)}`);
  };
  const [pair = '', ...rest] = line.split('; ');
  const equals = pair.indexOf('=');
  const name = pair.slice(0, equals);
  const value = pair.slice(equals + 1);
  if (equals < 1 || !TOKEN.test(name)) fail('has no name that is a token');
  if (!OCTETS.test(value)) fail('has a value that is not made of cookie-octets');
  if (name.length + value.length > 4096) fail('is longer than a browser keeps');
  const attributes = new Map<string, string | undefined>();
  for (const part of rest) {
    const [, key = '', text] = /^([A-Za-z-]+)(?:=(.*))?$/.exec(part) ?? [];
    const lower = key.toLowerCase();
    if (!ATTRIBUTES[lower]?.(text)) fail(`has an attribute "${part}" of no known form`);
    if (attributes.has(lower)) fail(`has "${key}" twice`);
    attributes.set(lower, text);
  }
  const isSecure = attributes.has('secure');
  if (attributes.get('samesite') === 'None' && !isSecure) fail('is SameSite=None and not Secure');
  if (attributes.has('partitioned') && !isSecure) fail('is Partitioned and not Secure');
  if (/^__(?:secure|host)-/i.test(name) && !isSecure) fail('has a prefix that needs Secure');
  if (/^__host-/i.test(name) && (attributes.has('domain') || attributes.get('path') !== '/')) {
    fail('has the __Host- prefix with a Domain or another Path');
  }
  return { name, value, attributes };
}

/** Additional requirements for the package's own cookies. */
export function checkOwnCookie({ name, attributes }: StrictCookie): void {
  const has = (key: string, value: string | undefined) =>
    attributes.has(key) && (value === undefined || attributes.get(key) === value);
  if (!has('httponly', undefined)) throw new Error(`${name} is not HttpOnly`);
  if (!has('path', undefined)) throw new Error(`${name} has no Path`);
  if (!has('samesite', undefined)) throw new Error(`${name} has no SameSite`);
  // Old clients understand only Expires. A new cookie for a session that ends with the browser has neither attribute.
  const isCleared = has('max-age', '0');
  if (isCleared !== attributes.has('expires'))
    throw new Error(`${name} is cleared with Max-Age or Expires alone`);
  if (isCleared && !has('expires', 'Thu, 01 Jan 1970 00:00:00 GMT')) throw new Error(`${name} expires late`);
}
