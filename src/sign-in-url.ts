import type { Config } from './config/index.js';
import { target, type Request } from './http.js';
import { safeReturnTo } from './return-to.js';

/** The login route, with this page to come back to if a redirect can come back to it. */
export function loginUrl(
  req: Request,
  { routes, returnTo, returnToRules }: Config,
  wanted: Readonly<Record<string, string>> = {},
): string {
  if (!routes.login) return returnTo;
  const here =
    req.method === 'GET' || req.method === 'HEAD' ? safeReturnTo(target(req), returnToRules) : undefined;
  const query = Object.entries({ ...(here === undefined ? {} : { returnTo: here }), ...wanted });
  const pairs = query.map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  return [routes.login.public, ...(pairs.length > 0 ? [pairs.join('&')] : [])].join('?');
}
