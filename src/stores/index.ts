export { expressStore, type ExpressSessionStore, type ExpressStoreOptions } from './express.js';
export {
  createSignedStore as createSharedStore,
  deriveKey,
  type Entry,
  type Found,
  type SignedStore as SharedStore,
} from './shared.js';
export { STORE_METHODS, type Store } from './store.js';
