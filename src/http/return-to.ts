import { canParse } from '../url-can-parse.js';

/**
 * The maximum length of a `returnTo`, in characters. A `returnTo` becomes part of the sealed transaction, which in turn
 * becomes part of two URLs. Node limits the URL and the headers of a request to 16 KB in total.
 */
const MAX_LENGTH = 4096;

/** Matches a path or an absolute http(s) URL, in a form that all URL parsers read the same way. */
const UNAMBIGUOUS = /^(?:\/(?![/\\])|https?:\/\/[^/\\])/i;

/**
 * Matches characters that URL parsers change. Parsers drop control characters. They also turn backslashes before the
 * query and the fragment into slashes.
 */
const HOSTILE = /[\u0000-\u001f\u007f]|^[^?#]*\\/;

/**
 * Matches two slashes or backslashes at the start of a path, which URL parsers read as the start of a host name. Such a
 * path is refused even if the host is the application's own, because the part after the host name would be parsed as a
 * path again.
 */
const DOUBLED = /^[/\\]{2}/;

export interface ReturnToRules {
  /** The application's own origin. A safe URL of this origin is returned as a path. */
  origin: string;
  /** Additional origins to which a user may return. */
  origins: readonly string[];
  /**
   * The paths of this package's routes. They are refused, because returning to one would cause a redirect loop or sign
   * the user out. A path that ends in a slash includes all paths below it.
   */
  ownPaths: readonly string[];
}

/**
 * Turns an untrusted `returnTo` into the exact string for the `Location` header. Returns `undefined` if the user must
 * not be sent there (RFC 9700 section 4.11), because the value is malformed, or because it leads to an origin that is
 * not listed or to a route of this package.
 *
 * The returned string is checked, not the input. A URL is safe if it leads to the same origin in each of three cases:
 * unchanged, after a proxy has decoded its path once, and after its path has been parsed again. The function is
 * idempotent.
 */
export function safeReturnTo(value: unknown, rules: ReturnToRules): string | undefined {
  if (typeof value !== 'string' || value.length > MAX_LENGTH) return undefined;
  if (!UNAMBIGUOUS.test(value) || HOSTILE.test(value)) return undefined;
  const url = parse(value, rules.origin);
  if (!url || url.username !== '' || url.password !== '') return undefined;
  const isOwn = url.origin === rules.origin;
  if (!isOwn && !rules.origins.includes(url.origin)) return undefined;
  if (!staysOn(url, url.pathname + url.search) || !staysOn(url, decoded(url.pathname))) return undefined;
  if (isOwn && isOwnPath(url.pathname, rules)) return undefined;
  return isOwn ? url.href.slice(url.origin.length) : url.href;
}

function parse(value: string, base: string): URL | undefined {
  return canParse(value, base) ? new URL(value, base) : undefined;
}

/** Whether a path stays on the origin of `url`, both when it is parsed and when the parsed path is parsed again. */
function staysOn(url: URL, path: string | undefined): boolean {
  const again = path === undefined || DOUBLED.test(path) ? undefined : parse(path, url.origin);
  return again?.origin === url.origin && !DOUBLED.test(again.pathname);
}

function decoded(path: string): string | undefined {
  try {
    return decodeURIComponent(path);
  } catch {
    return undefined;
  }
}

/**
 * Whether a path leads to a route of this package. Routers ignore case and a trailing slash. A proxy in front of the
 * app may decode a path, resolve its dot segments and merge repeated slashes. This function does all of that before it
 * compares the paths.
 */
function isOwnPath(path: string, { origin, ownPaths }: ReturnToRules): boolean {
  const normalized = normalize(resolved(path, origin));
  return ownPaths.some((own) =>
    own.endsWith('/') ? normalized.startsWith(own.toLowerCase()) : normalized === normalize(own),
  );
}

function resolved(path: string, origin: string): string {
  const { pathname } = parse(decoded(path) ?? path, origin) ?? { pathname: path };
  return pathname.replace(/\/{2,}/g, '/');
}

function normalize(path: string): string {
  const lower = (decoded(path) ?? path).toLowerCase();
  return lower.endsWith('/') && lower.length > 1 ? lower.slice(0, -1) : lower;
}
