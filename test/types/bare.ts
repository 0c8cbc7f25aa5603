import { createServer } from 'node:http';
import { authkit, requireAuth, signedIn } from 'authkit-express';

// A project that has no types of Express at all: the names of the global namespace are ours alone.

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
