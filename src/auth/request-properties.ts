import type { IncomingMessage } from 'node:http';
import type { Auth } from './principal.js';

export interface RequestProperties {
  /** Gives it both, in place of what somebody else gave it before. */
  expose: (req: IncomingMessage) => void;
  /** Gives it both if it has lost them: it may have come to an application of another Express since. */
  ensure: (req: IncomingMessage) => void;
}

/**
 * Makes what gives a request `auth` and `user`. They are read as they are now, so that a refresh half-way is seen by
 * everybody; and another middleware may replace them without being believed by a guard.
 *
 * One pair of accessors for all requests, and where there is one on the prototype that Express gives all requests and
 * hands out to be extended (`express.request`): with a pair of its own, each request would get a shape of its own, and
 * everything that is done with it afterwards takes longer. Not on that of one application: a request is given the
 * prototype of another one as soon as that is called.
 */
export function defineRequestProperties(read: (req: object) => Auth | undefined): RequestProperties {
  const auth = accessor('auth', read, (found) => found);
  const user = accessor('user', read, (found) => found.user ?? undefined);
  const prepared = new WeakSet<object>();
  const expose = (req: IncomingMessage) => {
    const prototype = Object.getPrototypeOf(req) as object;
    // What somebody set before is replaced, as a value is on the request itself.
    const isSet = Object.hasOwn(req, 'auth') || Object.hasOwn(req, 'user');
    if (!isSet && prepared.has(prototype)) return;
    const shared = isSet ? undefined : ofExpress(prototype);
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
 * What the requests of all applications inherit from, by way of their application: Express alone names that on a
 * prototype. Node's own prototypes have a constructor, and are everybody's.
 */
function ofExpress(prototype: object): object | undefined {
  let found: object | undefined;
  for (let object = prototype; Object.hasOwn(object, 'app'); object = Object.getPrototypeOf(object) as object)
    found = object;
  const parent = found && (Object.getPrototypeOf(found) as object | null);
  return parent && !Object.hasOwn(parent, 'constructor') ? parent : found;
}

function accessor(
  name: 'auth' | 'user',
  read: (req: object) => Auth | undefined,
  pick: (auth: Auth) => unknown,
): (target: object, enumerable: boolean) => void {
  return (target, enumerable) => {
    const other = Object.getOwnPropertyDescriptor(target, name);
    Object.defineProperty(target, name, {
      configurable: true,
      enumerable,
      get(this: object): unknown {
        // Requests that are not ours are left to who was here before, such as another copy of this package.
        const found = read(this);
        return found ? pick(found) : other?.get?.call(this);
      },
      set(this: object, value: unknown) {
        Object.defineProperty(this, name, { value, configurable: true, enumerable: true, writable: true });
      },
    });
  };
}
