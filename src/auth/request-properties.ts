import type { IncomingMessage } from 'node:http';
import type { Auth } from './principal.js';

export interface RequestProperties {
  /** Defines both properties, and replaces what another middleware set before. */
  expose: (req: IncomingMessage) => void;
  /** Defines both properties if the request has lost them, because it was passed to an app of another Express. */
  ensure: (req: IncomingMessage) => void;
}

/** The values of `req.auth` and `req.user`. */
export interface RequestValues {
  auth: () => Auth;
  user: () => unknown;
}

type Read = (req: object) => RequestValues | undefined;

/**
 * Creates the functions that define `req.auth` and `req.user`. The properties are accessors, so that they show a
 * refresh in the middle of a request. Another middleware may replace them, and guards do not read them.
 *
 * What this file buys: all requests share one pair of accessors on the prototype that Express gives to every request
 * (`express.request`). Properties on each request would give each request a hidden class of its own, which slows down
 * everything that reads it afterwards. The prototype of a single app is not used, since a request changes that
 * prototype when another app is called.
 */
export function defineRequestProperties(read: Read): RequestProperties {
  const auth = accessor('auth', read, (values) => values.auth());
  const user = accessor('user', read, (values) => values.user());
  const prepared = new WeakSet<object>();
  const expose = (req: IncomingMessage) => {
    const prototype = Object.getPrototypeOf(req) as object;
    const isSet = Object.hasOwn(req, 'auth') || Object.hasOwn(req, 'user');
    if (!isSet && prepared.has(prototype)) return;
    const shared = isSet ? undefined : requestOfExpress(prototype);
    const target = shared && Object.isExtensible(shared) ? shared : req;
    if (target === req || !prepared.has(target))
      for (const define of [auth, user]) define(target, target === req);
    if (target === req) return;
    prepared.add(target);
    prepared.add(prototype);
  };
  return {
    expose,
    ensure(req) {
      if (!prepared.has(Object.getPrototypeOf(req) as object) && !('auth' in req)) expose(req);
    },
  };
}

/**
 * The prototype that the requests of all Express apps inherit from, through the one of their app. Only Express puts
 * `app` on a prototype. The prototypes of Node have a constructor and are shared with other code.
 */
function requestOfExpress(prototype: object): object | undefined {
  let found: object | undefined;
  for (let object = prototype; Object.hasOwn(object, 'app'); object = Object.getPrototypeOf(object) as object)
    found = object;
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
          // Requests that this copy of the package has not seen keep the earlier value.
          const values = read(this);
          return values ? pick(values) : other?.get?.call(this);
        },
        set(this: object, value: unknown) {
          Object.defineProperty(this, name, { value, configurable: true, enumerable: true, writable: true });
        },
      });
    } catch {
      // Guards and `signedIn()` do not need the property, so the request continues.
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
