import { header, type Request } from './http.js';

/**
 * Whether a browser says that another site sent this request, riding on a cookie of ours: Fetch Metadata where it is
 * present, else `Origin`. A client that sends neither is no browser of today, and nobody can make it send a cookie.
 *
 * @param trusted Other origins that may.
 */
export function isCrossSite(req: Request, own: string, trusted: readonly string[]): boolean {
  const site = header(req, 'sec-fetch-site');
  const origin = header(req, 'origin');
  if (origin !== undefined && trusted.includes(origin)) return false;
  if (site === undefined || site === '') return origin !== undefined && origin !== own;
  return site !== 'same-origin' && site !== 'none';
}

/** RFC 9110 section 9.2.1: what a safe method does, another site may ask for. */
export function isSafeMethod({ method }: Request): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS';
}
