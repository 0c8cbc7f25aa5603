import type { SignInOptions } from '../options.js';
import * as form from './forms.js';
import { parameterSet } from './parameters.js';
import { AUTHKIT, providerNamed } from './providers.js';

const DIGITS = /^\d{1,9}$/;

/**
 * Everything that `/user_management/authorize` can be asked.
 *
 * @see https://workos.com/docs/reference/authkit/authentication/get-authorization-url
 */
export const authKitParameters = parameterSet<SignInOptions>(
  {
    provider: form.provider,
    connectionId: form.id('connection_id', 'connection'),
    organizationId: form.id('organization_id', 'organization'),
    loginHint: form.loginHint,
    domainHint: form.domainHint,
    screenHint: form.text('screen_hint', /^sign-(?:in|up)$/),
    prompt: form.text('prompt', /^(?:login|consent|none|select_account)$/),
    invitationToken: form.text('invitation_token', /^[\w.-]{1,512}$/),
    maxAge: {
      wire: 'max_age',
      parse: (value) => (DIGITS.test(value) ? Number(value) : undefined),
      valid: (value) => Number.isSafeInteger(value) && (value as number) >= 0,
    },
    providerScopes: form.providerScopes,
    providerQueryParams: form.providerQueryParams,
  },
  conflictsOf,
  ({ connectionId }) => (connectionId === undefined ? { provider: AUTHKIT } : {}),
);

/** WorkOS takes exactly one selector; AuthKit is the one that an organization accompanies. */
function conflictsOf({ connectionId, provider, organizationId, screenHint }: SignInOptions): string[] {
  const conflicts = [];
  const isAuthKit = provider === undefined || providerNamed(provider) === AUTHKIT;
  const withAuthKit = connectionId === undefined && isAuthKit;
  if (connectionId !== undefined && provider !== undefined)
    conflicts.push('connectionId and provider exclude each other');
  if (organizationId !== undefined && !withAuthKit) conflicts.push('organizationId goes with AuthKit only');
  if (screenHint !== undefined && !withAuthKit) conflicts.push('screenHint goes with AuthKit only');
  return conflicts;
}
