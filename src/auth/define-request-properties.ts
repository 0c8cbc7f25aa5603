import type { IncomingMessage } from 'node:http';
import type { Auth } from './principal.js';

export interface RequestProperties {
  /** Defines `req.auth` and `req.user`, replacing any values that other middleware has set. */
  expose: (req: IncomingMessage) => void;
  /**
   * Defines `req.auth` and `req.user` again if the request lost them when it was passed to an app that uses a different
   * copy of Express.
   */
  ensure: (req: IncomingMessage) => void;
}

/** Functions that return the values of `req.auth` and `req.user`. */
export interface RequestValues {
  auth: () => Auth;
  user: () => unknown;
}

type Read = (req: object) => RequestValues | undefined;

/**
 * Creates the functions that define `req.auth` and `req.user`. The properties are accessors, so their values change if
 * the session is refreshed during the request. Guards do not read these properties, because other middleware may
 * replace them.
 *
 * This file exists for speed. All requests share one pair of accessors, defined on `express.request`, from which every
 * Express request inherits. If the accessors were defined on each request instead, each request would have a separate
 * hidden class, and all code that reads the request later would be slower. The accessors are not defined on the request
 * prototype of a single app, because Express replaces that prototype when it passes the request to a different app.
 */
export function defineRequestProperties(read: Read): RequestProperties {
  const auth = accessor('auth', read, (values) => values.auth());
  const user = accessor('user', read, (values) => values.user());
  const prepared = new WeakSet<object>();
  const expose = (req: IncomingMessage) => {
    const prototype = Object.getPrototypeOf(req) as object | null;
    const isSet = Object.hasOwn(req, 'auth') || Object.hasOwn(req, 'user');
    if (!isSet && prototype && prepared.has(prototype)) return;
    const shared = isSet ? undefined : requestOfExpress(prototype);
    const target = shared && Object.isExtensible(shared) ? shared : req;
    if (target === req || !prepared.has(target))
      for (const define of [auth, user]) define(target, target === req);
    if (target === req) return;
    prepared.add(target);
    if (prototype) prepared.add(prototype);
  };
  return {
    expose,
    ensure(req) {
      if (!('auth' in req)) expose(req);
    },
  };
}

/**
 * Finds `express.request`, the prototype that the requests of all Express apps inherit from. An app's requests inherit
 * from `express.request` through the app's request prototype, which has an `app` property. Prototypes with a
 * `constructor` property belong to Node. They are not used, because code outside Express shares them. Returns
 * `undefined` if no Express app has handled the request.
 */
function requestOfExpress(prototype: object | null): object | undefined {
  let found: object | undefined;
  let object = prototype;
  while (object && Object.hasOwn(object, 'app')) {
    found = object;
    object = Object.getPrototypeOf(object) as object | null;
  }
  const parent = found && (Object.getPrototypeOf(found) as object | null);
  return parent && !Object.hasOwn(parent, 'constructor') ? parent : found;
}

function accessor(
  name: 'auth' | 'user',
  read: Read,
  pick: (values: RequestValues) => unknown,
): (target: object, enumerable: boolean) => void {
  let hasWarned = false;
  return (target, enumerable) => {
    const other = Object.getOwnPropertyDescriptor(target, name);
    try {
      Object.defineProperty(target, name, {
        configurable: true,
        enumerable,
        get(this: object): unknown {
          // For a request that this copy of the package has not seen, the accessor calls the getter that was defined
          // earlier.
          const values = read(this);
          return values ? pick(values) : other?.get?.call(this);
        },
        set(this: object, value: unknown) {
          Object.defineProperty(this, name, { value, configurable: true, enumerable: true, writable: true });
        },
      });
    } catch {
      // The property cannot be defined. Guards and `signedIn()` do not need it, so the request continues.
      if (!hasWarned) warnNotDefined(name);
      hasWarned = true;
    }
  };
}

function warnNotDefined(name: string): void {
  process.emitWarning(
    `req.${name} cannot be set, because another middleware has defined it as not configurable: ` +
      'run that middleware after authkit(), or read signedIn(req)',
    { code: 'AUTHKIT_REQUEST_PROPERTY' },
  );
}
