import type { RedirectInstead } from '../callback.js';
import type { SSOConfig } from '../config/index.js';
import type { Request, Response } from '../http.js';
import type { Completed } from '../sign-in-completion.js';
import type { StartSignIn } from '../sign-in.js';
import type { WorkOSClient } from '../workos.js';
import type { ExchangeProfile } from './exchange.js';
import type { SSOSignInOptions } from './options.js';

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
    if (config.acceptIdPInitiated) return exchange({ code, begun: { returnTo }, req, res });
    const { organization, connection, provider, domain } = config.signIn;
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
