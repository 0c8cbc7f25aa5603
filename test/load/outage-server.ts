// One process of an application that runs on a build of the package. outages.ts starts it, with its settings as an
// argument.
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import express from 'express';
import { createClient } from 'redis';
import type * as Package from 'authkit-express';
import type * as PackageRedis from 'authkit-express/redis';

export interface OutageSettings {
  /** Folder of the package whose build is used. */
  packageFolder: string;
  authkit: Package.AuthKitOptions;
  /** URL of the Redis that the processes share, if any. */
  redis: string | undefined;
}

const { packageFolder, authkit: options, redis } = JSON.parse(process.argv[2] ?? '{}') as OutageSettings;
const load = (file: string): Promise<unknown> =>
  import(pathToFileURL(join(packageFolder, 'dist', file)).href);

const { authkit, requireAuth } = (await load('index.js')) as typeof Package;
const app = express();
app.use(authkit({ ...options, ...(redis === undefined ? {} : { store: await storeAt(redis) }) }));
app.get('/account', requireAuth(), (_req, res) => void res.send('ok'));
app.get('/', (_req, res) => void res.send('a public page'));
const server = app.listen(0, '127.0.0.1', () => {
  process.send?.((server.address() as AddressInfo).port);
});
process.on('disconnect', () => process.exit());

async function storeAt(url: string) {
  const { redisStore } = (await load('redis.js')) as typeof PackageRedis;
  const client = createClient({ url });
  const store = redisStore(client);
  await client.connect();
  return store;
}
