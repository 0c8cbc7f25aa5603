// What `/// <reference types="@clerk/express/env" />` declares.
import type { AuthObject, PendingSessionOptions } from '@clerk/express';

declare global {
  namespace Express {
    interface Request {
      auth: (options?: PendingSessionOptions) => AuthObject;
    }
  }
}
