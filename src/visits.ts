import type { IncomingMessage } from 'node:http';
import { defineRequestProperties, type Principal } from './auth.js';
import type { Request, Response } from './http.js';
import { withDeadline } from './keys.js';
import { startTimer } from './response-head.js';
import { createSeat } from './seat.js';
import { canSetCookie, RequestAuth, type Instance } from './visit.js';

/** What guards believe. `req.auth` and `req.user` are for the application, and anybody can set them. */
const requestAuths = createSeat<Partial<Request>, Visits>(
  (req) => req,
  ({ req }) => req,
);

interface Visits {
  readonly req: Partial<Request>;
  readonly list: RequestAuth[];
}

const NOWHERE: readonly RequestAuth[] = [];

/** The requestAuths of a request, in mount order. */
export function requestAuthsOf(req: IncomingMessage): readonly RequestAuth[] {
  return requestAuths.get(req)?.list ?? NOWHERE;
}

/** A guard believed a token: all instances speak of the same caller from here on. */
export function setBearerAuth(req: IncomingMessage, caller: Principal): void {
  for (const requestAuth of requestAuthsOf(req)) requestAuth.setBearer(caller);
}

/** Of several instances, the first at which the request is signed in, else the first. */
export function selectSignedIn(list: readonly RequestAuth[]): RequestAuth | undefined {
  if (list.length === 1) return list[0];
  return list.find((requestAuth) => requestAuth.auth().type !== null) ?? list[0];
}

/** Gives a request `auth` and `user`, read as they are at the moment; reading marks the answer as personal. */
const { expose, ensure: ensureRequestProperties } = defineRequestProperties((req) => {
  const list = nearest(req)?.list ?? NOWHERE;
  const [first] = list;
  if (first) first.responseState.isPersonal = true;
  return selectSignedIn(list)?.auth();
});

/** To be called where a handler relies on `req.user`. */
export { ensureRequestProperties as ensureExposed };

/** Of the request, or of the one that it inherits from: some wrap a request by `Object.create`. */
function nearest(req: object): Visits | undefined {
  for (let object: object | null = req; object; object = Object.getPrototypeOf(object) as object | null) {
    const found = requestAuths.get(object);
    if (found) return found;
  }
  return undefined;
}

/** Opens the requestAuth of a request, once. Returns a promise only if the request has to wait. */
export type AuthenticateRequest = (req: Request, res: Response) => RequestAuth | Promise<RequestAuth>;

export function createAuthenticateRequest(parts: Instance): AuthenticateRequest {
  const { config, cookies, authenticator, softTimeout: softTimeout } = parts;
  return (req, res) => {
    const { list } = requestAuths.obtain(req, begin);
    const opened = list.find((requestAuth) => requestAuth.instance === parts);
    if (opened) return opened;
    const stop = config.serverTiming ? startTimer(res, 'authkit-session') : undefined;
    const pending = authenticator.authenticate(cookies.sessionValues(req), () => canSetCookie(res));
    if (pending instanceof Promise) void pending.then(stop, stop);
    else stop?.();
    const requestAuth = new RequestAuth(parts, req, res, pending);
    if (list.push(requestAuth) === 1) expose(req);
    return pending instanceof Promise
      ? withDeadline(softTimeout, requestAuth.whenAuthenticated() as Promise<unknown>).then(() => requestAuth)
      : requestAuth;
  };
}

function begin(req: Partial<Request>): Visits {
  return { req, list: [] };
}
