import { resolveResource, type ProtectedResourceOptions, type ResourceConfig } from './config/resource.js';
import type { AuthType } from './auth.js';
import type { VerifyBearer } from './credentials.js';
import type { Check, GuardRule } from './guard-rule.js';
import { createGuard, type GuardContext } from './guards.js';
import { middleware, target, type Handler, type Middleware, type Response } from './http.js';
import type { Instance } from './visit.js';
import { requestAuthsOf } from './visits.js';

/** RFC 9728 section 3. */
const WELL_KNOWN = '/.well-known/oauth-protected-resource';

/** What a guard of a resource may accept. */
type AcceptedAtResource = Exclude<AuthType, 'session'>;

/** A middleware that says at the well-known path where tokens come from, and the guard that takes them. */
export interface ProtectedResource extends Middleware {
  /** Where the document is: what `WWW-Authenticate` names as `resource_metadata`. */
  readonly metadataUrl: string;
  /**
   * Lets a request pass only with an access token that one of the authorization servers granted for this resource.
   * `accepts` is `['bearer']` by default: people. `machine` is the client credentials grant, and `apiKey` a key of
   * WorkOS's. Cookies count for nothing here.
   *
   * @throws {TypeError} where the route is defined, if the rule could not mean anything.
   */
  requireAuth<A extends AcceptedAtResource = 'bearer'>(rule?: GuardRule<A> | Check<A>): Middleware;
}

/**
 * Makes a part of the application an OAuth 2.0 protected resource (RFC 9728), such as an MCP server: clients find out
 * where to get a token, and a guard takes tokens that AuthKit's OAuth server granted for this very resource.
 * Mount it at the root, after `authkit()`.
 *
 * @throws {AuthKitError} `config_invalid`, with every problem of the options and its fix.
 * @see https://workos.com/docs/authkit/mcp
 * @example
 * const mcp = protectedResource({
 *   resource: 'https://api.example.com/mcp',
 *   authorizationServers: ['https://example.authkit.app'],
 * });
 * app.use(mcp);
 * app.post('/mcp', mcp.requireAuth(), (req, res) => { res.json({ you: signedIn(req).user.email }); });
 */
export function protectedResource(options: ProtectedResourceOptions): ProtectedResource {
  const config = resolveResource(options);
  const { origin, pathname, search } = config.resource;
  // Between host and path, and a path of nothing but a slash is left out (RFC 9728 section 3.1).
  const path = `${WELL_KNOWN}${pathname === '/' ? '' : pathname}${search}`;
  const metadataUrl = origin + path;
  const kind = kindOf(config, metadataUrl);
  return Object.assign(middleware(createDocument(config, path, search !== '')), {
    metadataUrl,
    requireAuth: <A extends AcceptedAtResource = 'bearer'>(rule: GuardRule<A> | Check<A> = {}) =>
      createGuard(rule, kind),
  });
}

/** The document is for everybody, and for clients in a browser at any origin. */
function createDocument({ metadata }: ResourceConfig, path: string, hasQuery: boolean): Handler {
  const body = JSON.stringify(metadata);
  return (req, res) => {
    const [bare = ''] = target(req).split('?', 1);
    if ((hasQuery ? target(req) : bare) !== path) return 'next';
    res.setHeader('Access-Control-Allow-Origin', '*');
    if (req.method === 'OPTIONS') return preflight(res);
    if (req.method !== 'GET' && req.method !== 'HEAD') return 'next';
    res.setHeader('Content-Type', 'application/json; charset=utf-8');
    res.setHeader('Cache-Control', 'public, max-age=3600');
    res.end(body);
    return 'sent';
  };
}

function preflight(res: Response): 'sent' {
  res.statusCode = 204;
  res.setHeader('Access-Control-Allow-Methods', 'GET, HEAD');
  res.setHeader('Access-Control-Allow-Headers', '*');
  res.end();
  return 'sent';
}

/** Guards of a resource: every instance verifiers by keys of its own, made when it is first asked. */
function kindOf(
  { audience, authorizationServers, scope }: ResourceConfig,
  metadataUrl: string,
): GuardContext {
  const verifiers = new WeakMap<Instance, VerifyBearer>();
  return {
    find: requestAuthsOf,
    supported: ['bearer', 'machine', 'apiKey'],
    defaults: ['bearer'],
    challenge: { resource_metadata: metadataUrl, ...(scope === undefined ? {} : { scope }) },
    bearerVerifierOf(instance) {
      let judge = verifiers.get(instance);
      if (!judge)
        verifiers.set(
          instance,
          (judge = instance.bearerVerifiers.forResource(audience, authorizationServers)),
        );
      return judge;
    },
  };
}
