import { findPostgres, findProgram } from '../support/programs.js';

/**
 * Programs that `npm run test:infrastructure` needs but are not installed. Debian's `redis-sentinel` is `redis-server
 * --sentinel`.
 */
export const MISSING_PROGRAMS = Object.entries({
  'redis-server': findProgram('redis-server'),
  'redis-cli': findProgram('redis-cli'),
  postgres: findPostgres(),
})
  .filter(([, path]) => path === undefined)
  .map(([name]) => name);
