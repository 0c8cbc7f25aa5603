// Imported in advance, so that loading the SDK does not use up the time limit of the first call to WorkOS.
import '@workos-inc/node';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { authkit, requireAuth } from 'authkit-express';
import { serve, type Framework, type Site } from './frameworks.js';
import { corpusKeys } from './corpora.js';
import { whoami } from './app.js';

/** An application that accepts the corpora's tokens, at their time, with a WorkOS whose responses the test defines. */
export interface FakeWorkOSApp extends Pick<Site, 'origin'> {
  /** How often the `/protected` handler ran. */
  served: () => number;
  /** Moves the clock back slightly, which ends a pause that a WorkOS response asked for. */
  endPause: () => void;
  close: () => Promise<void>;
}

export async function startFakeWorkOS(
  framework: Framework,
  cookiePassword: string,
  workos: RequestListener,
): Promise<FakeWorkOSApp> {
  const { clientId, issuer, now } = corpusKeys('jwt-keys') as {
    clientId: string;
    issuer: string;
    now: number;
  };
  let count = 0;
  let back = 0;
  const upstream = createServer(workos);
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  const { port } = upstream.address() as AddressInfo;
  const site = await serve(framework, (app, origin) => {
    const api = { apiHostname: '127.0.0.1', apiHttps: false, apiPort: port, timeout: 1000 };
    const own = { cookiePassword, apiKey: 'sk_test', redirectUri: `${origin}/callback` };
    app.use(authkit({ ...api, ...own, clientId, issuer, now: () => now * 1000 - back }));
    app.route('/protected', requireAuth(), (req, res, next) => {
      count += 1;
      whoami(req, res, next);
    });
  });
  return {
    origin: site.origin,
    served: () => count,
    endPause: () => {
      back += 1;
    },
    async close() {
      upstream.closeAllConnections();
      upstream.close();
      await site.close();
    },
  };
}
