import { STORE_METHODS, type Store } from '../stores/index.js';
import { isRecord, type Problems } from './problems.js';

/** Where processes meet, and where sessions are kept. */
export interface StoreConfig {
  readonly store: Store | undefined;
  readonly mode: 'cookie' | 'store';
}

export function storage(store: unknown, session: unknown, problems: Problems): StoreConfig {
  const missing = isRecord(store)
    ? Object.keys(STORE_METHODS).filter((name) => typeof store[name] !== 'function')
    : [];
  if (store !== undefined && (!isRecord(store) || missing.length > 0)) {
    const what = missing.length > 0 ? ` (it has no ${missing.join(', ')})` : '';
    problems.add(
      `store is no store${what}: wrap a Redis client in redisStore(), a session store in expressStore()`,
    );
  }
  if (session !== undefined && session !== 'cookie' && session !== 'store') {
    problems.add('session must be "cookie" or "store"');
  } else if (session === 'store' && store === undefined) {
    problems.add('session: "store" needs a store, such as store: redisStore(client)');
  }
  return { store: store as Store | undefined, mode: session === 'store' ? 'store' : 'cookie' };
}
