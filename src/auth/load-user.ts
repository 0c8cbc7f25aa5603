import type { User as WorkOSUser } from '@workos-inc/node';
import type { AppUser, LoadUser } from '../config/options.js';
import { withDeadline } from '../deadline.js';
import { unavailable } from '../errors.js';
import type { Request, Response } from '../http/middleware.js';
import type { SignedIn } from './principal.js';

declare module '../config/options.js' {
  interface LoadUserContext {
    /** `req.auth` of the request. */
    auth: SignedIn;
  }
}

/** Type of `req.user`: the fields that the application merged into `AppUser`, otherwise the WorkOS user. */
export type RequestUser = keyof AppUser extends never ? WorkOSUser : AppUser;

/** The application's user for one WorkOS user. */
export interface LoadedUser {
  /** Id of the WorkOS user. */
  readonly userId: string;
  /** `undefined` until it is loaded, and if the application has no such user. */
  row: unknown;
  /** Rejects if `loadUser` throws. */
  readonly done: Promise<void>;
}

/**
 * Starts `loadUser` and puts its result in `res.locals.user`.
 *
 * @param deadline In milliseconds, so that a database that does not answer does not hold requests forever.
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
  // passport's deserializeUser says `false` for a user that does not exist.
  return found.row === null || found.row === false ? undefined : found.row;
}

/** Templates read `user` from here. Connect has no `locals`. */
export function setLocalUser(res: Response, user: unknown): void {
  const response = res as { locals?: Record<string, unknown> };
  response.locals ??= Object.create(null) as Record<string, unknown>;
  response.locals['user'] = user;
}
