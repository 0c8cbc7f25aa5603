import { isArrival, sealArrival } from './arrival.js';
import type { Config } from './config/index.js';
import type { Cookies } from './cookies.js';
import { AuthKitError } from './errors.js';
import type { Request, Response } from './http.js';
import type { OpenVisit } from './visits.js';

/**
 * Tells a browser that brings its session back from one that does not. To a guard the latter is nobody, WorkOS knows
 * who it is and sends it back at once, and so it would go in circles.
 */
export interface LostSessions {
  /** A session goes out with this response: the next requests should bring it. */
  expect: (res: Response) => Promise<void>;
  /** Whether this browser was given a session seconds ago, and is nobody all the same. */
  isLost: (req: Request, res: Response) => Promise<boolean>;
  /** Ends the circle. The next sign-in is a first one again. */
  give: (req: Request, res: Response) => AuthKitError;
}

export interface LostSessionsParts {
  config: Config;
  cookies: Cookies;
  openVisit: OpenVisit;
}

export function createLostSessions({ config, cookies, openVisit }: LostSessionsParts): LostSessions {
  const { cookiePasswords: passwords, now } = config;
  const isExpected = (req: Request) =>
    cookies.arrivalValues(req).some((value) => isArrival(value, config, passwords, now()));
  return {
    async expect(res) {
      cookies.setArrival(res, await sealArrival(config, now(), passwords[0]));
    },
    async isLost(req, res) {
      if (!isExpected(req)) return false;
      const visit = await openVisit(req, res);
      const { kind } = await visit.settled();
      return kind === 'absent' && visit.auth().type === null;
    },
    give(req, res) {
      cookies.clearArrival(req, res);
      return new AuthKitError('session_lost', lossOf(config));
    },
  };
}

/** For who runs the application: what is set, and what may be in its way. */
function lossOf({ cookie: { name, domain, secure }, redirectUri }: Config): string {
  const { host } = new URL(redirectUri);
  const reach = domain === undefined ? `of ${host} alone` : `of ${domain} and its sub-domains`;
  return (
    `twice within seconds this browser signed in and came back without its session: the cookie ${name}, ${reach}` +
    `${secure ? ', https only' : ''}, was not sent along, or could not be opened. Look at Set-Cookie of the callback ` +
    'and at Cookie of the request after it, for: a proxy or a middleware that drops a cookie of 4 KB or several of ' +
    'them; guarded pages at another host, without cookie.domain; http where https is meant; a process with another ' +
    'cookiePassword; a browser that blocks cookies'
  );
}
