import { ownProperties } from '../plain-objects.js';
import type { SSOSignInOptions } from '../config/sso-options.js';
import { providerNamed } from '../config/provider-names.js';
import type { SSOConfig } from '../config/resolve-sso-config.js';
import { AuthKitError } from '../errors.js';
import { publish } from '../diagnostics.js';
import type { Request, Response } from '../http/handler-to-middleware.js';
import type { StartSignIn } from '../routes/authorization-request.js';
import type { RedirectInstead } from '../routes/callback.js';
import type { Completed } from '../routes/exchange-code-once.js';
import { runOnSuccess } from '../routes/on-success.js';
import type { IdentityProvider, Transaction } from '../routes/sign-in-transaction.js';
import {
  newSSOSession,
  sealSSOSession,
  type SSOProfile,
  type SSOSession,
  toUser,
} from '../session/sealed-sso-session.js';
import type { ProfileReply, WorkOSClient } from '../workos/api-client.js';

/** The parts of a sign-in's transaction that the code exchange needs. */
export type SSOSignInStart = Pick<
  Transaction,
  'returnTo' | 'callback' | 'state' | 'from' | 'identityProvider' | 'earlierSessions'
>;

export interface ProfileExchangeRequest {
  code: string;
  /** The PKCE verifier. `undefined` for a sign-in that began at the identity provider. */
  codeVerifier: string | undefined;
  transaction: SSOSignInStart;
  req: Request;
  res: Response;
}

/**
 * Exchanges a code from the SSO API for a session.
 *
 * @returns The completed sign-in, or `answered` if `onSuccess` sent the response. In the latter case, the user is not
 * signed in.
 * @throws {AuthKitError} if the exchange fails, or if `onSuccess` rejects the sign-in.
 */
export type ExchangeProfile = (request: ProfileExchangeRequest) => Promise<Completed | 'answered'>;

export function createProfileExchange(config: SSOConfig, workos: WorkOSClient): ExchangeProfile {
  return async ({ code, codeVerifier, transaction, req, res }) => {
    const result = await workos.exchangeProfile(code, codeVerifier);
    if (result.kind !== 'ok') throw result.error;
    if (!isFrom(result.value.profile, transaction.identityProvider))
      throw new AuthKitError('sign_in_rejected', 'the profile comes from a different identity provider');
    const callOnSuccess = () =>
      config.hooks.onSuccess?.({
        ...signInResultOf(result.value, transaction, codeVerifier, config),
        req,
        res,
      });
    const outcome = await runOnSuccess(callOnSuccess, res, transaction, config);
    if (outcome === 'answered') return outcome;
    const { now, sessionLifetime } = config;
    const session = newSSOSession(result.value.profile, outcome.data, now(), sessionLifetime);
    const sealed = await sealSSOSession(session, config);
    publishSignIn(session, config);
    return { sealed, returnTo: outcome.returnTo };
  };
}

/**
 * Whether a profile comes from the identity provider that the sign-in named. Without this check, a user could change
 * the authorization URL and sign in through a connection of a different organization.
 */
function isFrom(
  { organizationId, connectionId, connectionType }: SSOProfile,
  named: IdentityProvider | undefined,
): boolean {
  const { organization, connection, provider } = ownProperties(named ?? {});
  if (organization !== undefined && organization !== organizationId) return false;
  if (connection !== undefined && connection !== connectionId) return false;
  return provider === undefined || providerNamed(provider) === connectionType;
}

function publishSignIn({ id, profile }: SSOSession, { clientId }: SSOConfig): void {
  publish('sign-in', {
    clientId,
    userId: profile.id,
    sessionId: id,
    organizationId: profile.organizationId ?? undefined,
    authenticationMethod: 'SSO',
    isImpersonated: false,
  });
}

/** Builds the part of the argument for `onSuccess` that describes the sign-in. */
function signInResultOf(
  { profile, accessToken, oauthTokens }: ProfileReply,
  { state, from = 'link', returnTo }: SSOSignInStart,
  codeVerifier: string | undefined,
  { now }: SSOConfig,
) {
  return {
    profile,
    user: toUser(profile, Math.floor(now() / 1000)),
    organizationId: profile.organizationId ?? undefined,
    connectionId: profile.connectionId,
    accessToken,
    oauthTokens,
    state,
    stateFrom: state === undefined ? undefined : from,
    isIdPInitiated: codeVerifier === undefined,
    returnTo,
  };
}

export interface IdPInitiatedDependencies {
  config: SSOConfig;
  workos: WorkOSClient;
  startSignIn: StartSignIn<SSOSignInOptions>;
  exchangeProfile: ExchangeProfile;
}

/**
 * Creates the handler for sign-ins that began at the identity provider. This application did not request the code of
 * such a sign-in, so an attacker may have sent it (login CSRF, RFC 9700 section 4.7). Therefore, the handler starts a
 * new sign-in, which uses the configured identity provider or, if none is configured, the connection that the code came
 * from. A user who is already signed in at the identity provider sees only a redirect. If `acceptIdPInitiated` is set,
 * the handler exchanges the code instead.
 */
export function createIdPInitiated({
  config,
  workos,
  startSignIn,
  exchangeProfile,
}: IdPInitiatedDependencies) {
  return async (
    code: string,
    req: Request,
    res: Response,
  ): Promise<Completed | RedirectInstead | 'answered'> => {
    const { returnTo } = config;
    const { organization, connection, provider, domain } = await config.signIn(req);
    if (config.acceptIdPInitiated) {
      const transaction = ownProperties({
        returnTo,
        identityProvider: { organization, connection, provider },
      });
      return exchangeProfile({ code, codeVerifier: undefined, transaction, req, res });
    }
    const isPinned = [organization, connection, provider, domain].some((value) => value !== undefined);
    const options = isPinned ? {} : { connection: await connectionOf(code, workos) };
    return { location: await startSignIn(req, res, options, { from: 'link', returnTo }) };
  };
}

/** Returns the ID of the connection that a code came from. The rest of the profile is ignored. */
async function connectionOf(code: string, workos: WorkOSClient): Promise<string> {
  const result = await workos.exchangeProfile(code, undefined);
  if (result.kind !== 'ok') throw result.error;
  return result.value.profile.connectionId;
}
