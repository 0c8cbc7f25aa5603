import type { IncomingMessage } from 'node:http';
import { createExpose, type Caller } from './auth.js';
import type { Request, Response } from './http.js';
import { atMost } from './keys.js';
import { startTimer } from './response-head.js';
import { createSeat } from './seat.js';
import { canDeliver, Visit, type VisitParts } from './visit.js';

/** What guards believe. `req.auth` and `req.user` are for the application, and anybody can set them. */
const visits = createSeat<Partial<Request>, Visits>(
  (req) => req,
  ({ req }) => req,
);

interface Visits {
  readonly req: Partial<Request>;
  readonly list: Visit[];
}

const NOWHERE: readonly Visit[] = [];

/** The visits of a request, in mount order. */
export function visitsOf(req: IncomingMessage): readonly Visit[] {
  return visits.get(req)?.list ?? NOWHERE;
}

/** A guard believed a token: all instances speak of the same caller from here on. */
export function present(req: IncomingMessage, caller: Caller): void {
  for (const visit of visitsOf(req)) visit.present(caller);
}

/** Of several instances, the first at which the request is signed in, else the first. */
export function firstSignedIn(list: readonly Visit[]): Visit | undefined {
  if (list.length === 1) return list[0];
  return list.find((visit) => visit.auth().type !== null) ?? list[0];
}

/** Gives a request `auth` and `user`, read as they are at the moment; reading marks the answer as personal. */
const { expose, ensure } = createExpose((req) => {
  const list = nearest(req)?.list ?? NOWHERE;
  const [first] = list;
  if (first) first.head.isPersonal = true;
  return firstSignedIn(list)?.auth();
});

/** To be called where a handler relies on `req.user`. */
export { ensure as ensureExposed };

/** Of the request, or of the one that it inherits from: some wrap a request by `Object.create`. */
function nearest(req: object): Visits | undefined {
  for (let object: object | null = req; object; object = Object.getPrototypeOf(object) as object | null) {
    const found = visits.get(object);
    if (found) return found;
  }
  return undefined;
}

/** Opens the visit of a request, once. Returns a promise only if the request has to wait. */
export type OpenVisit = (req: Request, res: Response) => Visit | Promise<Visit>;

export function createVisits(parts: VisitParts): OpenVisit {
  const { config, cookies, authenticator, patience } = parts;
  return (req, res) => {
    const { list } = visits.obtain(req, begin);
    const opened = list.find((visit) => visit.at === parts);
    if (opened) return opened;
    const stop = config.serverTiming ? startTimer(res, 'authkit-session') : undefined;
    const pending = authenticator.authenticate(cookies.sessionValues(req), () => canDeliver(res));
    if (pending instanceof Promise) void pending.then(stop, stop);
    else stop?.();
    const visit = new Visit(parts, req, res, pending);
    if (list.push(visit) === 1) expose(req);
    return pending instanceof Promise
      ? atMost(patience, visit.settled() as Promise<unknown>).then(() => visit)
      : visit;
  };
}

function begin(req: Partial<Request>): Visits {
  return { req, list: [] };
}
