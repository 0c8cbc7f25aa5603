import type { User as WorkOSUser } from '@workos-inc/node';
import type { AppUser, LoadUser } from '../config/authkit-options.js';
import { withDeadline } from '../deadline.js';
import { unavailable } from '../errors.js';
import type { Request, Response } from '../http/handler-to-middleware.js';
import { responseStateOf } from '../http/response.js';
import type { SignedIn } from './principal.js';

declare module '../config/authkit-options.js' {
  interface LoadUserContext {
    /** The value of `req.auth` for this request. */
    auth: SignedIn;
  }
}

/**
 * The type of `req.user`: `AppUser` if the application has added fields to that interface, otherwise the WorkOS user.
 */
export type RequestUser = keyof AppUser extends never ? WorkOSUser : AppUser;

/** The application's user that corresponds to a WorkOS user. */
export interface LoadedUser {
  /** The principal that was passed to `loadUser`. */
  readonly auth: SignedIn;
  /**
   * The result of `loadUser`. It is `undefined` until the user has been loaded, or if the application has no matching
   * user.
   */
  row: unknown;
  /** Resolves when `loadUser` has finished. Rejects if `loadUser` throws, rejects or takes too long. */
  readonly done: Promise<void>;
}

/**
 * Starts loading the application's user with `loadUser`.
 *
 * @param timeout The maximum time that `loadUser` may take, in milliseconds. Without this limit, a database that does
 * not respond would block the request forever.
 */
export function startLoadingUser(
  loadUser: LoadUser,
  auth: SignedIn,
  { req, timeout }: { req: Request; timeout: number },
): LoadedUser {
  const load = async () => {
    loaded.row = await rowWithin(timeout, async () => loadUser({ user: auth.user, auth, req }));
  };
  const loaded: LoadedUser = { auth, row: undefined, done: Promise.resolve().then(load) };
  return loaded;
}

async function rowWithin(timeout: number, load: () => Promise<unknown>): Promise<unknown> {
  const found = await withDeadline(
    timeout,
    load().then((row) => ({ row })),
  );
  if (!found) throw unavailable(`loadUser did not return within ${timeout} ms`);
  // `loadUser` may return `false` for a user that does not exist, as passport's `deserializeUser` does.
  return found.row === null || found.row === false ? undefined : found.row;
}

/**
 * Defines `res.locals.user`, which templates read as `user`. Like `req.user`, the property is an accessor. Its value
 * changes if the request's principal changes, and reading it marks the response as user-specific. Connect does not
 * define `res.locals`, so this function creates the object if it does not exist.
 *
 * @param read Returns the value of `req.user`.
 */
export function defineLocalUser(res: Response, read: () => unknown): void {
  const response = res as { locals?: Record<string, unknown> };
  response.locals ??= Object.create(null) as Record<string, unknown>;
  Object.defineProperty(response.locals, 'user', {
    configurable: true,
    enumerable: true,
    get() {
      responseStateOf(res).isPersonal = true;
      return read();
    },
    set(this: object, value: unknown) {
      Object.defineProperty(this, 'user', { value, configurable: true, enumerable: true, writable: true });
    },
  });
}
