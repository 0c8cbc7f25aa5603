import type { Codes } from './codes.js';
import type { Directory } from './directory.js';

/** Somebody who begins at their identity provider. */
export interface TestIdPStart {
  /** Id or e-mail address. */
  user: string;
  /** Id of a connection. */
  connection: string;
  /** The callback; default that of `options`. */
  redirectUri?: string;
}

export function createIdPStart(directory: Directory, codes: Codes, callback: string) {
  return ({ user, connection, redirectUri = callback }: TestIdPStart): string => {
    const [person, found] = [directory.find(user), directory.findConnection(connection)];
    if (!person || !found) throw new Error(`Nobody here is ${user}, or there is no connection ${connection}`);
    const code = codes.issue({
      userId: person.user.id,
      organizationId: found.organizationId,
      authenticationMethod: 'SSO',
      connectionId: found.id,
      isOrganizationNamed: true,
      codeChallenge: undefined,
      authTime: undefined,
      oauthTokens: undefined,
    });
    const url = new URL(redirectUri);
    url.searchParams.set('code', code);
    return url.href;
  };
}
