import type { Directory } from './directory.js';
import { newId } from './identifier.js';
import type { SigningKeys } from './signing-keys.js';

/** A token of the OAuth server, as a test asks for it. */
export interface TestOAuthToken {
  /** Id or e-mail address; default the first person. */
  user?: string | undefined;
  /** `client_…` of an M2M application, in place of a person. */
  machine?: string;
  /** `aud`: the resource it is for. Default: the client id, as for a client that names no resource. */
  audience?: string | readonly string[] | undefined;
  organizationId?: string | undefined;
  scope?: string | undefined;
  /** Seconds, default 300; negative for one that has expired. */
  expiresIn?: number;
  /** Further claims; may replace the server's own, or take one away with `undefined`. */
  claims?: Readonly<Record<string, unknown>>;
}

export type MakeToken = (token?: TestOAuthToken) => Promise<string>;

export interface TokenParts {
  clientId: string;
  url: string;
  directory: Directory;
  /** Its own, not those of sessions. */
  keys: SigningKeys;
  now: () => number;
}

/** @see https://workos.com/docs/reference/workos-connect/token */
export function createToken({ clientId, url, directory, keys, now }: TokenParts): MakeToken {
  return async ({ user, machine, audience, organizationId, scope, expiresIn = 300, claims } = {}) => {
    const person = user === undefined ? directory.people()[0] : directory.find(user);
    if (machine === undefined && !person) throw new Error(`Nobody here is "${user ?? ''}"`);
    const issuedAt = Math.floor(now() / 1000);
    const all = {
      iss: url,
      aud: audience ?? clientId,
      sub: machine ?? person?.user.id,
      org_id: organizationId ?? (machine === undefined ? person?.memberships[0]?.organizationId : undefined),
      sid: machine === undefined ? newId('app_consent') : undefined,
      jti: newId('jti').slice('jti_'.length),
      scope,
      exp: issuedAt + expiresIn,
      iat: issuedAt,
      ...claims,
    };
    return keys.sign(Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)));
  };
}
