import { createServer } from 'node:http';
import { authkit, requireAuth, signedIn } from 'authkit-express';

// A project without any Express types: every name in the global namespace comes from this package.

const auth = authkit();
const guard = requireAuth({ role: 'admin' });
createServer((req, res) => {
  auth(req, res, () => {
    guard(req, res, () => {
      res.end(signedIn(req).user.email);
    });
  });
});

// @ts-expect-error -- what a plain request has is asked for, not read
createServer((req) => req.auth);

export const maybe = (req: Express.Request): string | undefined => req.user?.email;
