export { expressStore, type ExpressSessionStore, type ExpressStoreOptions } from './express.js';
export { createSharedStore, deriveKey, type Entry, type Found, type SharedStore } from './shared.js';
export { STORE_METHODS, type Store } from './store.js';
