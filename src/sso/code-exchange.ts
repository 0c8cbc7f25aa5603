import type { SSOSignInOptions } from '../config/sso-options.js';
import type { SSOConfig } from '../config/sso.js';
import { publish } from '../events.js';
import type { Request, Response } from '../http/middleware.js';
import type { StartSignIn } from '../routes/authorization-request.js';
import type { RedirectInstead } from '../routes/callback.js';
import type { Completed } from '../routes/code-exchange.js';
import { runOnSuccess } from '../routes/on-success.js';
import type { Transaction } from '../routes/transaction.js';
import type { ProfileReply, WorkOSClient } from '../workos/client.js';
import { newSession, sealSSOSession, userOf } from './session.js';

/** What a sign-in was begun with. */
export type FlowStart = Pick<Transaction, 'returnTo' | 'callback' | 'state' | 'from'>;

export interface SSOReply {
  code: string;
  /** `undefined` for a sign-in that began at the identity provider. */
  codeVerifier: string | undefined;
  begun: FlowStart;
  req: Request;
  res: Response;
}

/**
 * Turns a code of the SSO API into a session.
 *
 * @returns `answered` if `onSuccess` answered the request itself: then nobody is signed in.
 * @throws {AuthKitError}
 */
export type ExchangeProfile = (reply: SSOReply) => Promise<Completed | 'answered'>;

export function createProfileExchange(config: SSOConfig, workos: WorkOSClient): ExchangeProfile {
  return async ({ code, codeVerifier, begun, req, res }) => {
    const answer = await workos.exchangeProfile(code, codeVerifier);
    if (answer.kind !== 'ok') throw answer.error;
    const ask = () =>
      config.hooks.onSuccess?.({ ...factsOf(answer.value, begun, codeVerifier, config), req, res });
    const decided = await runOnSuccess(ask, res, begun, config);
    if (decided === 'answered') return decided;
    const session = newSession(answer.value.profile, decided.data, config);
    const sealed = await sealSSOSession(session, config);
    publish('sign-in', {
      clientId: config.clientId,
      userId: session.profile.id,
      sessionId: session.id,
      organizationId: session.profile.organizationId ?? undefined,
      authenticationMethod: 'SSO',
      isImpersonated: false,
    });
    return { sealed, returnTo: decided.returnTo };
  };
}

function factsOf(
  { profile, accessToken, oauthTokens }: ProfileReply,
  { state, from = 'link', returnTo }: FlowStart,
  codeVerifier: string | undefined,
  { now }: SSOConfig,
) {
  return {
    profile,
    user: userOf(profile, Math.floor(now() / 1000)),
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
  signIn: StartSignIn<SSOSignInOptions>;
  exchange: ExchangeProfile;
}

/**
 * A sign-in that began at the identity provider: a code that nobody here asked for, which anybody could have sent
 * (login CSRF, RFC 9700 section 4.7). It is begun again from here, with the connection that the code is of; whoever
 * is signed in at the identity provider sees a redirect and no more.
 */
export function createIdPInitiated({ config, workos, signIn, exchange }: IdPInitiatedDependencies) {
  return async (
    code: string,
    req: Request,
    res: Response,
  ): Promise<Completed | RedirectInstead | 'answered'> => {
    const { returnTo } = config;
    if (config.acceptIdPInitiated)
      return exchange({ code, codeVerifier: undefined, begun: { returnTo }, req, res });
    const { organization, connection, provider, domain } = await config.signIn(req);
    const isPinned = [organization, connection, provider, domain].some((value) => value !== undefined);
    const options = isPinned ? {} : { connection: await connectionOf(code, workos) };
    return { location: await signIn(req, res, options, { from: 'link', returnTo }) };
  };
}

/** Only which connection the code is of is taken from it, and who it is of is not. */
async function connectionOf(code: string, workos: WorkOSClient): Promise<string> {
  const answer = await workos.exchangeProfile(code, undefined);
  if (answer.kind !== 'ok') throw answer.error;
  return answer.value.profile.connectionId;
}
