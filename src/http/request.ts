import { AuthKitError } from '../errors.js';
import type { Request } from './handler-to-middleware.js';

/**
 * Returns the request target as the client sent it, including the mount path that a router has removed from `req.url`.
 */
export function target(req: Request): string {
  return req.originalUrl ?? req.url ?? '/';
}

/**
 * Returns the query parameters of the request. `req.query` is not used, because it differs between frameworks and may
 * contain objects.
 */
export function query(req: Request): URLSearchParams {
  const url = target(req);
  const start = url.indexOf('?');
  return new URLSearchParams(start === -1 ? '' : url.slice(start + 1).split('#', 1)[0]);
}

/** Returns the last segment of the request's path. */
export function lastSegment(req: Request): string {
  const [path = ''] = target(req).split(/[?#]/, 1);
  return path.replace(/\/$/, '').split('/').at(-1) ?? '';
}

/**
 * Returns the value of a header, or `undefined` if it is missing. `name` must be in lower case. Only own properties
 * count, so a polluted `Object.prototype` cannot add a header.
 *
 * Adapters of serverless platforms pass a repeated header as a list of values, which are joined: those of `cookie` with
 * semicolons (RFC 9113 section 8.2.3), and those of all other headers with commas.
 */
export function header({ headers }: Request, name: string): string | undefined {
  const value = Object.hasOwn(headers, name) ? headers[name] : undefined;
  return Array.isArray(value) ? value.join(name === 'cookie' ? '; ' : ', ') : value;
}

/**
 * Whether a browser will show the response as a page.
 *
 * If the request has a `Sec-Fetch-Mode` header, that header decides. Older browsers do not send it. Without it, the
 * `Accept` header must list `text/html`, and `X-Requested-With` must not show that a script sent the request.
 */
export function isNavigation(req: Request): boolean {
  const mode = header(req, 'sec-fetch-mode');
  if (mode !== undefined && mode !== '') return mode === 'navigate';
  return !isXHR(req) && accepts(req, 'text/html');
}

/** Whether the request is a page load: a navigation that can be redirected without losing a request body. */
export function isPageLoad(req: Request): boolean {
  return (req.method === 'GET' || req.method === 'HEAD') && isNavigation(req);
}

/**
 * Whether the headers show that a script sent the request. The headers of some clients, such as curl, supertest and
 * forms in older browsers, do not show what sent the request. For such requests, the result is false.
 */
export function isScripted(req: Request): boolean {
  const mode = header(req, 'sec-fetch-mode');
  if (mode !== undefined && mode !== '') return mode !== 'navigate';
  if (isXHR(req)) return true;
  return accepts(req, 'application/json') && !accepts(req, 'text/html');
}

/**
 * Whether the `X-Requested-With` header, which jQuery and other libraries set, shows that a script sent the request.
 * Other values do not count: an Android WebView sends its app's package name in this header with every page load.
 */
function isXHR(req: Request): boolean {
  return header(req, 'x-requested-with')?.toLowerCase() === 'xmlhttprequest';
}

/** Whether the request is a prefetch or a prerender: the user has not opened the page yet. */
export function isSpeculative(req: Request): boolean {
  return ['sec-purpose', 'purpose', 'x-moz'].some((name) => header(req, name) !== undefined);
}

/**
 * Whether the request is a WebSocket handshake: an HTTP/1.1 upgrade (RFC 6455 section 4.2.1), or an extended CONNECT
 * request of HTTP/2 (RFC 8441 section 5), which has no `Upgrade` header.
 */
export function isWebSocketUpgrade(req: Request): boolean {
  if (header(req, ':protocol')?.toLowerCase() === 'websocket') return true;
  const upgrade = header(req, 'upgrade');
  if (upgrade === undefined) return false;
  return upgrade.split(',').some((protocol) => trimOWS(protocol).toLowerCase() === 'websocket');
}

/**
 * Removes optional whitespace around a value: SP and HTAB only (RFC 9110 section 5.6.3).
 *
 * `String.prototype.trim` also removes other characters, such as U+00A0. Node decodes headers as latin1, so `trim`
 * would remove the byte 0xA0 from the start of a cookie's name. The remaining name could then begin with a prefix such
 * as `__Host-`, although no browser has checked the rules for that prefix.
 */
export function trimOWS(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isOWS(text[start])) start += 1;
  while (end > start && isOWS(text[end - 1])) end -= 1;
  return text.slice(start, end);
}

function isOWS(character: string | undefined): boolean {
  return character === ' ' || character === '\t';
}

/** Whether the `Accept` header lists a media type and does not exclude it with `q=0` (RFC 9110 section 12.4.2). */
function accepts(req: Request, type: string): boolean {
  const accept = (header(req, 'accept') ?? '').toLowerCase();
  if (!accept.includes(type)) return false;
  return accept.split(',').some((range) => {
    const [name = '', ...parameters] = range.split(';').map(trimOWS);
    return name === type && !parameters.some((parameter) => /^q=0(?:\.0*)?$/.test(parameter));
  });
}

/**
 * Returns the value of a parameter that has one or more accepted names. The result is `undefined` if the parameter is
 * missing or empty.
 *
 * @throws {AuthKitError} `invalid_request` if the parameter is repeated (RFC 6749 section 3.1).
 */
export function single(params: URLSearchParams, ...names: readonly string[]): string | undefined {
  const values = [...new Set(names)].flatMap((name) => params.getAll(name));
  if (values.length > 1) throw new AuthKitError('invalid_request', `${names[0] ?? ''} is repeated`);
  return values[0] === '' ? undefined : values[0];
}

/** The part of the configuration that determines from which origins the session cookie is accepted. */
export interface OriginConfig {
  readonly returnToRules: { readonly origin: string };
  readonly trustedOrigins: readonly string[];
  readonly cookie: { readonly sameSite: 'lax' | 'strict' | 'none' };
}

/**
 * Whether the headers show that a page of an untrusted foreign origin sent this request. Every origin other than the
 * application's own is foreign, even one on the same site.
 *
 * If `Origin` is a foreign origin, the result is false if that origin is trusted, and true otherwise. If `Origin` is
 * this application's origin, `null` or missing, `Sec-Fetch-Site` decides.
 *
 * If `Sec-Fetch-Site` is to decide but is missing, the result is false. Every current browser sends at least one of the
 * two headers with a cross-site request, so a client that sends neither is probably not a browser. Exception: if
 * `Origin` is `null` and the session cookie is `SameSite=None`, the result is true.
 *
 * @param trusted Foreign origins that may send the request. Default: the `trustedOrigins` option.
 */
export function isCrossSite(
  req: Request,
  { returnToRules, trustedOrigins, cookie }: OriginConfig,
  trusted: readonly string[] = trustedOrigins,
): boolean {
  const site = header(req, 'sec-fetch-site') ?? '';
  const origin = header(req, 'origin');
  if (origin === 'null' && site === '') {
    // A form on a page with `Referrer-Policy: no-referrer` sends `Origin: null` even to its own origin. A request from
    // another site does not contain the session cookie, unless the cookie is `SameSite=None`.
    return cookie.sameSite === 'none';
  }
  if (origin !== undefined && origin !== 'null') {
    if (trusted.includes(origin)) return false;
    if (origin !== returnToRules.origin) return true;
  }
  return site !== '' && site !== 'same-origin' && site !== 'none';
}

/**
 * Whether it is unknown which page sent the request, because the `Origin` header is `null` and the `Sec-Fetch-Site`
 * header is missing. Old browsers never send `Sec-Fetch-Site`, and current browsers do not send it over http. The
 * request may come from another site, for example, from a sandboxed frame.
 */
export function isOfUnknownOrigin(req: Request): boolean {
  return header(req, 'origin') === 'null' && !header(req, 'sec-fetch-site');
}

/**
 * Whether the page that opens this WebSocket has a foreign origin that is not trusted. Browsers send `Origin` with
 * every WebSocket handshake, and they may send the session cookie whatever the origin is. The `Origin` of a sandboxed
 * frame is `null`, which counts as foreign.
 */
export function isForeignWebSocket(req: Request, { returnToRules, trustedOrigins }: OriginConfig): boolean {
  const origin = header(req, 'origin');
  return origin !== undefined && origin !== returnToRules.origin && !trustedOrigins.includes(origin);
}

/**
 * Whether the page that sent this request has a different origin than the application. That page would resolve a path
 * in the response against the wrong host.
 */
export function isFromAnotherOrigin(
  req: Request,
  { returnToRules }: Pick<OriginConfig, 'returnToRules'>,
): boolean {
  const origin = header(req, 'origin');
  return origin !== undefined && origin !== returnToRules.origin;
}

/** Whether the method is safe (RFC 9110 section 9.2.1). Requests with a safe method are accepted from other sites. */
export function isSafeMethod({ method }: Request): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS';
}
