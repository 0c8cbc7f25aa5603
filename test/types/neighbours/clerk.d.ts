// The exports of @clerk/express 2 that concern requests.
import type { Request, RequestHandler } from 'express';

export interface PendingSessionOptions {
  treatPendingAsSignedOut?: boolean;
}
export type AuthObject = { isAuthenticated: true; userId: string } | { isAuthenticated: false; userId: null };
export declare const clerkMiddleware: () => RequestHandler;
export declare const getAuth: (req: Request) => AuthObject;
