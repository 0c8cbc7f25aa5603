import { isRecord, Problems } from '../config/problems.js';
import { AuthKitError } from '../errors.js';
import { type Handler, type Middleware, middleware, type Response } from '../http/middleware.js';
import { target } from '../http/request.js';
import type { VerifyBearer } from './bearer-token.js';
import type { Check, GuardRule } from './guard-rule.js';
import type { AuthType } from './principal.js';
import { type Instance, requestAuthsOf } from './request-auth.js';
import { createGuard, type GuardContext } from './require-auth.js';

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

/** Options of `protectedResource()`. */
export interface ProtectedResourceOptions {
  /** The address of the resource as its clients know it, such as `https://api.example.com/mcp`. */
  resource: string;
  /** OAuth servers whose tokens count: AuthKit domains, such as `https://….authkit.app`. */
  authorizationServers: readonly string[];
  /** Scopes that clients may ask for. */
  scopes?: readonly string[];
  /**
   * Values of `aud` that count beside `resource`, such as your client id: AuthKit puts that there for clients that
   * name no resource.
   */
  audience?: string | readonly string[];
  /** A name for people. */
  name?: string;
}

/** {@link ProtectedResourceOptions}, complete and checked. */
export interface ResourceConfig {
  readonly resource: URL;
  /** What the document of RFC 9728 says, in its names. */
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly audience: readonly string[];
  /** Without a slash at the end. */
  readonly authorizationServers: readonly string[];
  readonly scope: string | undefined;
}

const OPTIONS: Readonly<Record<keyof ProtectedResourceOptions, true>> = {
  resource: true,
  authorizationServers: true,
  scopes: true,
  audience: true,
  name: true,
};

/** RFC 6749 section 3.3, `scope-token`. */
const SCOPE = /^[!#-[\]-~]+$/;

/** @throws {AuthKitError} `config_invalid`, with every problem and its fix in one message. */
export function resolveResource(options: ProtectedResourceOptions): ResourceConfig {
  const problems = new Problems();
  const given: unknown = options;
  const { resource, authorizationServers, scopes, audience, name } = (
    isRecord(given) ? given : {}
  ) as Partial<Record<keyof ProtectedResourceOptions, unknown>>;
  problems.unknownKeys('option', isRecord(given) ? given : {}, OPTIONS);
  const url = address(resource);
  if (!url)
    problems.add('resource must be an https address without a fragment, "https://api.example.com/mcp"');
  const servers = texts(authorizationServers);
  if (servers.length === 0 || !servers.every((server) => address(server)?.search === ''))
    problems.add('authorizationServers must list your AuthKit domain, such as "https://….authkit.app"');
  if (
    scopes !== undefined &&
    (texts(scopes).length === 0 || !texts(scopes).every((scope) => SCOPE.test(scope)))
  )
    problems.add('scopes must be a list of OAuth scopes, such as ["openid", "profile"]');
  const others = typeof audience === 'string' ? [audience] : texts(audience);
  if (audience !== undefined && others.length === 0)
    problems.add('audience must be a string or a list of strings');
  if (name !== undefined && typeof name !== 'string') problems.add('name must be a string');
  if (!url || problems.list.length > 0)
    throw new AuthKitError(
      'config_invalid',
      `protectedResource() cannot start:\n- ${problems.list.join('\n- ')}`,
    );
  return Object.freeze({
    resource: url,
    metadata: metadataOf(options),
    // With an empty path, `https://api.example.com` and `https://api.example.com/` are one (RFC 3986 section 6.2.3).
    audience: [...new Set([options.resource, url.href, ...others])],
    authorizationServers: servers.map((server) => server.replace(/\/$/, '')),
    scope: options.scopes?.join(' '),
  });
}

/** RFC 9728 section 2. */
function metadataOf({ resource, authorizationServers, scopes, name }: ProtectedResourceOptions) {
  return {
    resource,
    authorization_servers: authorizationServers,
    ...(scopes === undefined ? {} : { scopes_supported: scopes }),
    bearer_methods_supported: ['header'],
    ...(name === undefined ? {} : { resource_name: name }),
  };
}

/** RFC 9728 section 1.2; in the clear on this machine only. */
function address(value: unknown): URL | undefined {
  if (typeof value !== 'string' || !/^https?:\/\/[^/\\\s"]/i.test(value) || !URL.canParse(value))
    return undefined;
  const url = new URL(value);
  const isLocal = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(url.hostname);
  const isPlain = url.hash === '' && !value.includes('#') && url.username === '' && url.password === '';
  return isPlain && (url.protocol === 'https:' || isLocal) ? url : undefined;
}

/** The strings of a list; none if there is anything else in it. */
function texts(value: unknown): readonly string[] {
  const isList = Array.isArray(value) && value.every((one) => typeof one === 'string' && one !== '');
  return isList ? (value as string[]) : [];
}
