import type { Config } from '../config/index.js';
import type { SignInOptions } from '../config/options.js';
import type { AuthKitError } from '../errors.js';
import { isUnfinished } from '../errors.js';
import { log } from '../events.js';
import { headerRoom } from '../http/cookies.js';
import type { Request } from '../http/middleware.js';
import { query, target } from '../http/request.js';
import { safeReturnTo } from '../http/return-to.js';

/** The login route, with this page to come back to if a redirect can come back to it. */
export function loginUrl(
  req: Request,
  { routes, returnTo, returnToRules }: Config,
  wanted: Readonly<Record<string, string>> = {},
): string {
  if (!routes.login) return returnTo;
  const back = returnPath(req, returnToRules);
  const parameters = Object.entries({ ...(back === undefined ? {} : { returnTo: back }), ...wanted });
  const pairs = parameters.map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  return [routes.login.public, ...(pairs.length > 0 ? [pairs.join('&')] : [])].join('?');
}

/**
 * This page, or the `returnTo` of a route that cannot be returned to, such as `/connect/:slug`. None if its address is
 * too long for the headers of the next request.
 */
function returnPath(req: Request, rules: Config['returnToRules']): string | undefined {
  if (req.method !== 'GET' && req.method !== 'HEAD') return undefined;
  const pages = [target(req), query(req).get('returnTo')];
  const back = pages.map((page) => safeReturnTo(page, rules)).find((safe) => safe !== undefined);
  if (back !== undefined && encodeURIComponent(back).length <= headerRoom(req)) return back;
  log('login', { dropped: 'returnTo', bytes: target(req).length });
  return undefined;
}

/**
 * How AuthKit itself can finish an authentication that WorkOS left unfinished: by the organization or the connection
 * that it is about. `undefined` where only the application can go on, with what WorkOS sent along.
 *
 * @param organizationId The organization that was wanted, if one was.
 * @see https://workos.com/docs/reference/authkit/authentication-errors
 */
export function nextSignInOptions(error: AuthKitError, organizationId?: string): SignInOptions | undefined {
  if (!isUnfinished(error.code)) return undefined;
  const { email, organizations, connection_ids, sso_connection_ids } = error.details ?? {};
  const hint = typeof email === 'string' ? { loginHint: email } : {};
  switch (error.code) {
    case 'sso_required': {
      const [connectionId, ...others] = texts(connection_ids ?? sso_connection_ids);
      if (connectionId !== undefined && others.length === 0) return { connectionId };
      return named({ ...hint, ...(organizationId === undefined ? {} : { organizationId }) });
    }
    case 'organization_selection_required': {
      const ids = texts(Array.isArray(organizations) ? organizations.map(idOf) : []);
      if (ids.length === 0) return undefined;
      const wanted = ids.length === 1 ? ids[0] : ids.find((id) => id === organizationId);
      // Of several, AuthKit lets the person choose.
      return wanted === undefined ? hint : { organizationId: wanted };
    }
    case 'email_verification_required':
    case 'mfa_enrollment':
    case 'mfa_challenge':
      return undefined;
  }
}

/**
 * The same for a session that ends this way, as parameters of the login route: whatever WorkOS wants, the person comes
 * back to the organization that they were in.
 */
export function nextLoginParameters(
  error: AuthKitError,
  organizationId: string | undefined,
): Record<string, string> {
  if (!isUnfinished(error.code)) return {};
  const { connectionId, loginHint, ...others } = nextSignInOptions(error, organizationId) ?? {};
  const organization = others.organizationId ?? organizationId;
  if (connectionId !== undefined) return { connectionId };
  return {
    ...(organization === undefined ? {} : { organizationId: organization }),
    ...(loginHint === undefined ? {} : { loginHint }),
  };
}

/** A sign-in that asks for nothing in particular would end where this one did. */
function named(options: SignInOptions): SignInOptions | undefined {
  return Object.keys(options).length === 0 ? undefined : options;
}

function idOf(organization: unknown): unknown {
  return (organization as { id?: unknown } | null)?.id;
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}
