// pino-http logs the headers of each request. They include the session cookie, so it is removed: otherwise anyone who
// can read the log could use the session.
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
        redact: ['req.headers.cookie', 'req.headers.authorization', 'req.headers.referer'],
        serializers: {
          // The query can contain an authorization code. Response headers can contain a state or a session cookie.
          req: ({ method, url, headers }: { method: string; url: string; headers: object }) => ({
            method,
            path: url.split('?')[0],
            headers,
          }),
          res: ({ statusCode }: { statusCode: number }) => ({ statusCode }),
        },
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
