import fc from 'fast-check';

/** 1000 in `npm test`, 100,000 in `npm run test:properties`. */
export const RUNS = Number(process.env['AUTHKIT_PROPERTY_RUNS'] ?? 1000);
const seed = Number(process.env['AUTHKIT_PROPERTY_SEED'] ?? Date.now() % 2 ** 31);

fc.configureGlobal({ numRuns: RUNS, seed });
process.stdout.write(`properties: ${RUNS} runs each, AUTHKIT_PROPERTY_SEED=${seed}\n`);

/** The time limit grows with the number of runs. */
export const LONG = { timeout: 30_000 + RUNS * 20 };

export { fc };
