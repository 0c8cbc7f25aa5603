import type { SSOConfig } from '../config/index.js';
import { runOnSuccess } from '../decision.js';
import { publish } from '../events.js';
import type { Request, Response } from '../http.js';
import type { Completed } from '../sign-in-completion.js';
import type { Transaction } from '../transaction.js';
import type { ProfileReply, WorkOSClient } from '../workos.js';
import { newSession, sealSSOSession, userOf } from './session.js';

/** What a sign-in was begun with; one that began at the identity provider has no verifier. */
export type FlowStart = Pick<Transaction, 'returnTo' | 'callback' | 'state' | 'from'> & {
  codeVerifier?: string;
};

export interface SSOReply {
  code: string;
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
  return async ({ code, begun, req, res }) => {
    const answer = await workos.exchangeProfile(code, begun.codeVerifier);
    if (answer.kind !== 'ok') throw answer.error;
    const ask = () => config.hooks.onSuccess?.({ ...factsOf(answer.value, begun, config), req, res });
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
  { state, from = 'link', returnTo, codeVerifier }: FlowStart,
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
