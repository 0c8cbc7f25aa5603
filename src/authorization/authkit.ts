import type { SignInOptions } from '../options.js';
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

const DIGITS = /^\d{1,9}$/;

/**
 * Everything that `/user_management/authorize` can be asked.
 *
 * @see https://workos.com/docs/reference/authkit/authentication/get-authorization-url
 */
export const authKitParameters = parameterSet<SignInOptions>(
  {
    provider: provider,
    connectionId: idParameter('connection_id', 'connection'),
    organizationId: idParameter('organization_id', 'organization'),
    loginHint: loginHint,
    domainHint: domainHint,
    screenHint: textParameter('screen_hint', /^sign-(?:in|up)$/),
    prompt: textParameter('prompt', /^(?:login|consent|none|select_account)$/),
    invitationToken: textParameter('invitation_token', /^[\w.-]{1,512}$/),
    maxAge: {
      wire: 'max_age',
      parse: (value) => (DIGITS.test(value) ? Number(value) : undefined),
      valid: (value) => Number.isSafeInteger(value) && (value as number) >= 0,
    },
    providerScopes: providerScopes,
    providerQueryParams: providerQueryParams,
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
