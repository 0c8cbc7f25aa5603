import { afterAll, beforeAll } from 'vitest';
import { startCluster, type ClusterApp } from '../support/cluster-app.js';
import type { StoreSettings } from '../support/cluster-store.js';

/** The clients with which every Redis test runs. */
export const REDIS_CLIENTS = ['node-redis', 'ioredis'] as const;

export interface Infrastructure<Servers> {
  servers: Servers;
  app: ClusterApp;
}

export interface InfrastructureOptions<Servers> {
  startServers: () => Promise<Servers>;
  storeOf: (servers: Servers) => StoreSettings;
  /** How far the clock of each process is ahead, in milliseconds. */
  clockOffsets?: readonly number[];
}

/**
 * Starts store servers and three processes of an application before the tests of a `describe`, and stops them
 * afterwards, also if one of them could not be started. The properties of the result are set when the tests begin.
 */
export function useInfrastructure<Servers extends { stop: () => Promise<unknown> }>({
  startServers,
  storeOf,
  clockOffsets,
}: InfrastructureOptions<Servers>): Infrastructure<Servers> {
  const started: Partial<Infrastructure<Servers>> = {};
  beforeAll(async () => {
    started.servers = await startServers();
    started.app = await startCluster({
      store: storeOf(started.servers),
      users: 60,
      cookiePassword: 'a-password-of-this-application-0123456789',
      ...(clockOffsets && { clockOffsets }),
    });
  });
  afterAll(async () => {
    await started.app?.close();
    await started.servers?.stop();
  });
  return started as Infrastructure<Servers>;
}
