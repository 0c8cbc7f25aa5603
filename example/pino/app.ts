// pino-http logs the headers of each request. The session cookie is among them, so it is removed: whoever can read the log
// could otherwise use the session.
import type { Writable } from 'node:stream';
import express, { type Express } from 'express';
import { pinoHttp } from 'pino-http';
import { authkit, requireAuth, signedIn } from 'authkit-express';

/** @param output Default: standard output. */
export function createApp(output?: Writable): Express {
  const app = express();
  app.use(
    pinoHttp(
      {
        redact: ['req.headers.cookie', 'req.headers.authorization', 'res.headers["set-cookie"]'],
        // The query of the callback has a code, and that of the login route can have an e-mail address.
        serializers: { req: (req: { url: string }) => ({ ...req, url: req.url.split('?')[0], query: undefined }) },
        customProps: (req) => ({ userId: (req as express.Request).user?.id }),
      },
      output,
    ),
  );
  app.use(authkit());
  app.get('/account', requireAuth(), (req, res) => {
    req.log.info('account opened');
    res.json({ email: signedIn(req).user.email });
  });
  return app;
}
