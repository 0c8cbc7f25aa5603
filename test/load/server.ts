// An application in a process of its own, so that what it takes of memory and time is its own: started by process.ts,
// with its settings as an argument, over IPC.
import type { AddressInfo } from 'node:net';
import { authkit, requireAuth, type AuthKitOptions } from 'authkit-express';
import { serve, type Framework } from '../support/frameworks.js';
import { look } from '../support/leak-checks/index.js';

export interface LoadSettings {
  framework: Framework;
  authkit: AuthKitOptions;
  /** Milliseconds since the epoch at which its clock stands; without it, the clock goes. */
  stands?: number;
}

export interface Sample {
  /** After a collection of garbage, in megabytes. */
  heap: number;
  rss: number;
  /** The most since the last sample. */
  maxRss: number;
  /** Of this process since its start, in milliseconds. */
  cpu: number;
  listenerWarnings: number;
}

const { framework, authkit: options, stands } = JSON.parse(process.argv[2] ?? '{}') as LoadSettings;
const clock: AuthKitOptions = stands === undefined ? {} : { now: () => stands };
const MB = 1_048_576;
const REFUSED = 400;

let listenerWarnings = 0;
process.on('warning', ({ name }) => (listenerWarnings += name === 'MaxListenersExceededWarning' ? 1 : 0));
let maxRss = 0;
setInterval(() => (maxRss = Math.max(maxRss, process.memoryUsage.rss())), 20).unref();

const site = await serve(framework, (app, origin) => {
  const own = { ...options, ...clock };
  app.use(authkit({ ...own, redirectUri: `${origin}/auth/callback` }));
  app.route('/account', requireAuth(), (_req, res) => res.end('ok'));
  // An instance with what a client says, as bad as it may be: settings come from files and variables, too.
  app.route('/configure', (req, res) => {
    const given = JSON.parse(new URL(req.url ?? '', origin).searchParams.get('options') ?? '{}') as object;
    try {
      authkit({ ...own, redirectUri: `${origin}/auth/callback`, ...given });
    } catch {
      res.statusCode = REFUSED;
    }
    res.end();
  });
  app.use(requireAuth());
});

process.on('message', () => {
  void sample().then((taken) => process.send?.(taken));
});
process.on('disconnect', () => process.exit());
process.send?.((site.server.address() as AddressInfo).port);

async function sample(): Promise<Sample> {
  const { user, system } = process.cpuUsage();
  // What the watch over the tests has kept is not the application's.
  await look();
  globalThis.gc?.();
  const { heapUsed, rss } = process.memoryUsage();
  const taken = {
    heap: heapUsed / MB,
    rss: rss / MB,
    maxRss: Math.max(maxRss, rss) / MB,
    cpu: (user + system) / 1000,
    listenerWarnings,
  };
  maxRss = 0;
  return taken;
}
