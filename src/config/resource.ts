import { AuthKitError } from '../errors.js';
import { isRecord, Problems } from './problems.js';

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
