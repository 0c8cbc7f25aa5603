import type pg from 'pg';
import type { Store } from 'authkit-express';
import { postgresStore } from 'authkit-express/postgres';
import { redisStore } from 'authkit-express/redis';

interface Node {
  host: string;
  port: number;
}

/** The address of a process's store and the client to use. It is passed to the process as JSON. */
export type StoreSettings =
  | { kind: 'redis'; url: string }
  | { kind: 'redis-cluster'; client: 'node-redis' | 'ioredis'; nodes: Node[] }
  | { kind: 'redis-sentinel'; client: 'node-redis' | 'ioredis'; name: string; sentinels: Node[] }
  | { kind: 'postgres'; connection: pg.PoolConfig };

export interface ConnectedStore {
  store: Store;
  close: () => unknown;
}

/** Connects as an application does, with the options that docs/cluster.md recommends. */
export async function connectStore(settings: StoreSettings): Promise<ConnectedStore> {
  if (settings.kind === 'postgres') {
    const { default: pg } = await import('pg');
    const pool = new pg.Pool({ ...settings.connection, max: 10, connectionTimeoutMillis: 1000 });
    return { store: postgresStore(pool), close: () => pool.end() };
  }
  if (settings.kind === 'redis') {
    const { createClient } = await import('redis');
    const client = createClient({ url: settings.url, socket: { reconnectStrategy: 100 } });
    const store = redisStore(client);
    await client.connect();
    return {
      store,
      close: () => {
        client.destroy();
      },
    };
  }
  return settings.client === 'ioredis' ? connectIoredis(settings) : connectNodeRedis(settings);
}

type Distributed = Extract<StoreSettings, { kind: 'redis-cluster' | 'redis-sentinel' }>;

async function connectIoredis(settings: Distributed): Promise<ConnectedStore> {
  const { Cluster, Redis } = await import('ioredis');
  const client =
    settings.kind === 'redis-cluster'
      ? new Cluster(settings.nodes)
      : new Redis({ name: settings.name, sentinels: settings.sentinels });
  return {
    store: redisStore(client),
    close: () => {
      client.disconnect();
    },
  };
}

async function connectNodeRedis(settings: Distributed): Promise<ConnectedStore> {
  const { createCluster, createSentinel } = await import('redis');
  const client =
    settings.kind === 'redis-cluster'
      ? createCluster({ rootNodes: settings.nodes.map((socket) => ({ socket })) })
      : createSentinel({ name: settings.name, sentinelRootNodes: settings.sentinels, masterPoolSize: 10 });
  const store = redisStore(client);
  await client.connect();
  return {
    store,
    close: () => client.destroy(),
  };
}
