import express from 'express';
import 'authkit-express';

// With no other package that declares it, `req.auth` has our type.
export const typeOf = (req: express.Request): string | null => req.auth.type;
// @ts-expect-error -- which is not `any`
export const wrong = (req: express.Request): number => req.auth.type;
export const emailOf = (req: express.Request): string | undefined =>
  req.auth.user === null ? undefined : req.auth.user.email;
