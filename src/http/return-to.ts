import { canParse } from '../can-parse.js';
/** In characters. The sealed transaction is part of two URLs, and Node limits all headers of a request to 16 KB. */
const MAX_LENGTH = 4096;

/** A path, or an absolute http(s) URL, in a form that all parsers read the same way. */
const UNAMBIGUOUS = /^(?:\/(?![/\\])|https?:\/\/[^/\\])/i;

/** URL parsers drop control characters, and turn backslashes before the query and the fragment into slashes. */
const HOSTILE = /[\u0000-\u001f\u007f]|^[^?#]*\\/;

/**
 * Begins with a host name. It is refused even if the host is our own, because the rest would be parsed as a path again.
 */
const DOUBLED = /^[/\\]{2}/;

export interface ReturnToRules {
  /** The application's own origin. A safe URL of this origin is returned as a path. */
  origin: string;
  /** Other origins that are allowed. */
  origins: readonly string[];
  /**
   * Public paths of this package's routes: returning to one would loop or sign the user out. A path that ends in a
   * slash covers everything below it.
   */
  ownPaths: readonly string[];
}

/**
 * Turns an untrusted `returnTo` into the exact string that goes into `Location`, or `undefined` if it leaves the
 * application (RFC 9700 section 4.11).
 *
 * Checks the emitted string, not the input. A URL is safe if it stays on its origin unchanged, after a proxy has
 * decoded its path once, and after its path has been parsed again. A safe value stays the same if it is checked again.
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

/** Whether a path stays on this origin when it is parsed, and when the parsed path is parsed again. */
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
 * Routers ignore case and a trailing slash, and a proxy in front may decode a path, resolve its dot segments and merge
 * slashes, so this function does the same.
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
