import type { User as WorkOSUser } from '@workos-inc/node';
import type { AppUser, LoadUser } from '../config/options.js';
import { withDeadline } from '../deadline.js';
import { unavailable } from '../errors.js';
import type { Request, Response } from '../http/handler-to-middleware.js';
import { responseStateOf } from '../http/response.js';
import type { SignedIn } from './principal.js';

declare module '../config/options.js' {
  interface LoadUserContext {
    /** `req.auth` of the request. */
    auth: SignedIn;
  }
}

/** Type of `req.user`: `AppUser` if the application has added fields to it, otherwise the WorkOS user. */
export type RequestUser = keyof AppUser extends never ? WorkOSUser : AppUser;

/** The application's user for one WorkOS user. */
export interface LoadedUser {
  /** Id of the WorkOS user. */
  readonly userId: string;
  /** The result of `loadUser`. It is `undefined` while the user is loading, and if the application has no such user. */
  row: unknown;
  /** Rejects if `loadUser` throws. */
  readonly done: Promise<void>;
}

/**
 * Starts `loadUser` and puts its result in `res.locals.user`.
 *
 * @param deadline How long `loadUser` may take, in milliseconds, so a database that does not respond cannot block
 * requests forever.
 */
export function startLoadingUser(
  loadUser: LoadUser,
  auth: SignedIn,
  { req, res, deadline }: { req: Request; res: Response; deadline: number },
): LoadedUser {
  const load = async () => {
    const row = await rowWithin(deadline, async () => loadUser({ user: auth.user, auth, req }));
    loaded.row = row;
    setLocalUser(res, row);
  };
  const loaded: LoadedUser = { userId: auth.user.id, row: undefined, done: Promise.resolve().then(load) };
  return loaded;
}

async function rowWithin(deadline: number, load: () => Promise<unknown>): Promise<unknown> {
  const found = await withDeadline(
    deadline,
    load().then((row) => ({ row })),
  );
  if (!found) throw unavailable(`loadUser did not return within ${deadline} ms`);
  // passport's deserializeUser returns `false` for a user that does not exist.
  return found.row === null || found.row === false ? undefined : found.row;
}

/**
 * Defines `res.locals.user`, which templates read as `user`. Reading it marks the response as personal, as `req.user`
 * does. Connect does not define `res.locals`, so it is created if necessary.
 */
export function setLocalUser(res: Response, user: unknown): void {
  const response = res as { locals?: Record<string, unknown> };
  response.locals ??= Object.create(null) as Record<string, unknown>;
  Object.defineProperty(response.locals, 'user', {
    configurable: true,
    enumerable: true,
    get() {
      responseStateOf(res).isPersonal = true;
      return user;
    },
    set(this: object, value: unknown) {
      Object.defineProperty(this, 'user', { value, configurable: true, enumerable: true, writable: true });
    },
  });
}
