import type { SSOSignInOptions } from '../sso/options.js';
import * as form from './forms.js';
import { parameterSet } from './parameters.js';
import { AUTHKIT, providerNamed } from './providers.js';

/**
 * Everything that `/sso/authorize` can be asked.
 *
 * @see https://workos.com/docs/reference/sso/get-authorization-url
 */
export const ssoParameters = parameterSet<SSOSignInOptions>(
  {
    organization: form.id('organization'),
    connection: form.id('connection'),
    provider: { ...form.provider, valid: (value) => form.provider.valid(value) && !isAuthKit(value) },
    domain: form.codeOnly({ ...form.domainHint, wire: 'domain' }),
    loginHint: form.loginHint,
    domainHint: form.domainHint,
    nonce: form.codeOnly(form.text('nonce', /^[\u0021-\u007e]{1,256}$/)),
    providerScopes: form.providerScopes,
    providerQueryParams: form.providerQueryParams,
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
