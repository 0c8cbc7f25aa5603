// An application in a separate process, so that its memory and time can be measured. process.ts starts it over IPC,
// with its settings as an argument.
import type { AddressInfo } from 'node:net';
import { authkit, requireAuth, type AuthKitOptions } from 'authkit-express';
import { serve, type Framework } from '../support/frameworks.js';
import { look } from '../support/leak-checks/index.js';

export interface LoadSettings {
  framework: Framework;
  authkit: AuthKitOptions;
  /**
   * The time at which its clock stands still, in milliseconds since the epoch. Without it, the clock follows real time.
   */
  stands?: number;
}

export interface Sample {
  /** After a garbage collection, in megabytes. */
  heap: number;
  rss: number;
  /** The maximum since the last sample, in megabytes. */
  maxRss: number;
  /** CPU time of this process since its start, in milliseconds. */
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
  // Creates an instance with whatever options a client sends, because settings can also come from files and variables.
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
  // Clears what the leak checks have recorded, because it does not belong to the application.
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
