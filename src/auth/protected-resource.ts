import { canParse } from '../url-can-parse.js';
import { isLoopback } from '../config/insecure-http.js';
import { Problems } from '../config/collect-problems.js';
import { isRecord } from '../plain-objects.js';
import { AuthKitError } from '../errors.js';
import { type Handler, type Middleware, middleware, type Response } from '../http/handler-to-middleware.js';
import { target } from '../http/request.js';
import type { VerifyBearer } from './bearer-token.js';
import type { Check, GuardRule } from './guard-options.js';
import type { AuthType } from './principal.js';
import { type Instance, requestAuthsOf } from './request-auth.js';
import { createRequireAuth, type GuardContext } from './require-auth.js';

/** The well-known prefix of the metadata path (RFC 9728 section 3). */
const WELL_KNOWN = '/.well-known/oauth-protected-resource';

/** Credential types that a guard of a protected resource may accept. */
type AcceptedAtResource = Exclude<AuthType, 'session' | 'sso'>;

/**
 * A middleware that serves the metadata of a protected resource. Its `requireAuth` method creates guards for the
 * resource's routes.
 */
export interface ProtectedResource extends Middleware {
  /** The URL of the metadata. The guards send it as `resource_metadata` in the `WWW-Authenticate` header. */
  readonly metadataUrl: string;
  /**
   * Creates a guard for the resource's routes. The guard accepts access tokens that one of the authorization servers
   * issued for this resource. By default, `accepts` is `['bearer']`, so only tokens that were issued to users are
   * accepted. Add `machine` to also accept tokens from the client credentials grant, and `apiKey` to also accept WorkOS
   * API keys. Session cookies are ignored.
   *
   * @throws {TypeError} if the rule is invalid or can never be met.
   */
  requireAuth: RequireResourceAuth;
}

interface RequireResourceAuth {
  <A extends AcceptedAtResource = 'bearer'>(rule?: GuardRule<A> | Check<A>): Middleware;
  (...request: Parameters<Middleware>): undefined;
}

/**
 * Makes part of the application an OAuth 2.0 protected resource (RFC 9728), such as an MCP server. The metadata tells
 * clients where to get a token, and guards accept the tokens that AuthKit's OAuth server issues for this resource.
 * Mount the middleware at the root of the app, after `authkit()`.
 *
 * @throws {AuthKitError} `config_invalid`. The message lists every problem in the options and how to fix it.
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
  // The well-known path is inserted between the host and the path of the resource. If the resource's path is only a
  // slash, that slash is omitted (RFC 9728 section 3.1).
  const path = `${WELL_KNOWN}${pathname === '/' ? '' : pathname}${search}`;
  const metadataUrl = origin + path;
  return Object.assign(middleware(createDocument(config, path, search !== '')), {
    metadataUrl,
    requireAuth: createRequireAuth(resourceContext(config, metadataUrl)),
  });
}

/** Creates the handler that serves the metadata. The metadata is public, so scripts on any origin may read it. */
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

/**
 * Creates the context of the resource's guards. Each `authkit()` instance has a separate token verifier, which is
 * created on the first request.
 */
function resourceContext(
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
      let verify = verifiers.get(instance);
      if (!verify) {
        verify = instance.bearerVerifiers.forResource(audience, authorizationServers);
        verifiers.set(instance, verify);
      }
      return verify;
    },
  };
}

/** Options of `protectedResource()`. */
export interface ProtectedResourceOptions {
  /** The URL that clients use for the resource, such as `https://api.example.com/mcp`. */
  resource: string;
  /**
   * The URLs of the OAuth servers whose tokens are accepted. These are AuthKit domains, such as
   * `https://….authkit.app`.
   */
  authorizationServers: readonly string[];
  /** The scopes that clients may request. */
  scopes?: readonly string[];
  /**
   * Values of the `aud` claim that are accepted in addition to `resource`. For example, pass your client ID to accept
   * the tokens of clients that did not name a resource when they requested the token.
   */
  audience?: string | readonly string[];
  /** The name of the resource, which clients can show to users. */
  name?: string;
}

/** {@link ProtectedResourceOptions} after validation. */
export interface ResourceConfig {
  readonly resource: URL;
  /** The metadata document, with the field names from RFC 9728. */
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly audience: readonly string[];
  /** The URLs of the OAuth servers, without a trailing slash. */
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

/** Matches one scope (`scope-token` in RFC 6749 section 3.3). */
const SCOPE = /^[!#-[\]-~]+$/;

/**
 * Validates the options and returns the resulting configuration.
 *
 * @throws {AuthKitError} `config_invalid`. The message lists every problem and how to fix it.
 */
function resolveResource(options: ProtectedResourceOptions): ResourceConfig {
  const problems = new Problems();
  // The copy has no prototype, so a polluted `Object.prototype` cannot add options.
  const own = Object.assign(
    Object.create(null),
    isRecord(options) ? options : {},
  ) as ProtectedResourceOptions;
  const { resource, authorizationServers, scopes, audience, name } = own as Partial<
    Record<keyof ProtectedResourceOptions, unknown>
  >;
  problems.unknownKeys('option', own, OPTIONS);
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
  const others = texts(typeof audience === 'string' ? [audience] : audience);
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
    metadata: metadataOf(own),
    // The `aud` of a token may contain the resource's URL as given or in normalized form. For example,
    // `https://api.example.com` and `https://api.example.com/` are equivalent (RFC 3986 section 6.2.3).
    audience: [...new Set([own.resource, url.href, ...others])],
    authorizationServers: servers.map((server) => server.replace(/\/$/, '')),
    scope: own.scopes?.join(' '),
  });
}

/** Builds the metadata document (RFC 9728 section 2). Fields that are `undefined` are left out of its JSON. */
function metadataOf({ resource, authorizationServers, scopes, name }: ProtectedResourceOptions) {
  return {
    resource,
    authorization_servers: authorizationServers,
    scopes_supported: scopes,
    bearer_methods_supported: ['header'],
    resource_name: name,
  };
}

/**
 * Parses a URL. Returns `undefined` if the value is not a URL, contains a fragment or credentials, or does not use
 * https (RFC 9728 section 1.2). URLs of loopback hosts may also use http.
 */
function address(value: unknown): URL | undefined {
  if (typeof value !== 'string' || !/^https?:\/\/[^/\\\s"]/i.test(value) || !canParse(value))
    return undefined;
  const url = new URL(value);
  const isPlain = url.hash === '' && !value.includes('#') && url.username === '' && url.password === '';
  return isPlain && (url.protocol === 'https:' || isLoopback(url.hostname)) ? url : undefined;
}

/** Returns a copy of the list if all its items are non-empty strings, otherwise an empty list. */
function texts(value: unknown): readonly string[] {
  // `every` skips holes, and a hole would match the missing `aud` of a token. In the copy, holes are `undefined`, so
  // the list is refused.
  const list = Array.isArray(value) ? Array.from(value as unknown[]) : [];
  return list.every((one) => typeof one === 'string' && one !== '') ? (list as string[]) : [];
}
