// The declarations of express-oauth2-jwt-bearer 1 that concern requests.
import type { Handler } from 'express';

interface VerifyJwtResult {
  header: { alg?: string };
  payload: { sub?: string };
  token: string;
}
declare global {
  namespace Express {
    interface Request {
      auth?: VerifyJwtResult;
    }
  }
}
declare const auth: (options?: { audience?: string; issuerBaseURL?: string }) => Handler;
export { auth, type VerifyJwtResult as AuthResult };
