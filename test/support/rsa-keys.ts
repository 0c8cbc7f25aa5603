import { generateKeyPairSync, type KeyPairKeyObjectResult } from 'node:crypto';

const kept = globalThis as { rsaKeys?: (KeyPairKeyObjectResult | undefined)[] };

/**
 * RSA keys of 2048 bits for tests that do not depend on what else a key was used for. Generating one takes 200 ms, so the
 * test files of a process share them. Each index is a different key.
 */
export function rsaKeyPair(index: 0 | 1): KeyPairKeyObjectResult {
  kept.rsaKeys ??= [];
  return (kept.rsaKeys[index] ??= generateKeyPairSync('rsa', { modulusLength: 2048 }));
}
