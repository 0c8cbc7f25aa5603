import type { SSOSignInOptions } from '../sso/options.js';
import {
  codeOnly,
  domainHint,
  idParameter,
  loginHint,
  provider,
  providerQueryParams,
  providerScopes,
  textParameter,
} from './forms.js';
import { parameterSet } from './parameters.js';
import { AUTHKIT, providerNamed } from './providers.js';

/**
 * Everything that `/sso/authorize` can be asked.
 *
 * @see https://workos.com/docs/reference/sso/get-authorization-url
 */
export const ssoParameters = parameterSet<SSOSignInOptions>(
  {
    organization: idParameter('organization'),
    connection: idParameter('connection'),
    provider: { ...provider, valid: (value) => provider.valid(value) && !isAuthKit(value) },
    domain: codeOnly({ ...domainHint, wire: 'domain' }),
    loginHint: loginHint,
    domainHint: domainHint,
    nonce: codeOnly(textParameter('nonce', /^[\u0021-\u007e]{1,256}$/)),
    providerScopes: providerScopes,
    providerQueryParams: providerQueryParams,
  },
  conflictsOf,
);

function isAuthKit(value: unknown): boolean {
  return providerNamed(String(value)) === AUTHKIT;
}

/** Exactly one selector; which one is missing is only known when a sign-in starts. */
function conflictsOf({ organization, connection, provider, domain }: SSOSignInOptions): string[] {
  const selectors = [organization, connection, provider, domain].filter((value) => value !== undefined);
  return selectors.length > 1 ? ['organization, connection, provider and domain exclude each other'] : [];
}
