import { generateKeyPairSync } from 'node:crypto';
import { random } from '../random.js';
import type { Row } from '../corpora.js';

export interface MadeKeySet extends Row {
  body: unknown;
}

const spki = (jwk: object) => jwk as Record<string, unknown>;
const rsa = (bits: number) =>
  spki(generateKeyPairSync('rsa', { modulusLength: bits }).publicKey.export({ format: 'jwk' }));
const curve = spki(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' }));

/** Key sets with various keys. Some contain the right key, with or without its id. */
export function madeKeySets(right: Record<string, unknown>, count: number): MadeKeySet[] {
  const { pick, some, oneIn } = random('key sets');
  const { n, e, kid } = right;
  const [weak, foreign] = [rsa(1024), rsa(2048)];
  const plain = { kty: 'RSA', n, e };
  const RIGHT: unknown[] = [
    right,
    { ...plain, kid },
    { ...plain, kid, use: 'sig', alg: 'RS256', key_ops: ['verify'] },
    { ...right, key_ops: ['verify'], ext: true },
    { ...right, x5c: ['!'], x5t: 'x', unknown: { a: 1 } },
    plain,
  ];
  const OTHERS: unknown[] = [
    { ...foreign, kid: 'other' },
    { ...foreign, kid },
    { ...weak, kid },
    { ...curve, kid },
    { kty: 'oct', k: 'AAAA', kid },
    { ...right, use: 'enc' },
    { ...right, use: null },
    { ...right, use: ['sig'] },
    { ...right, alg: 'RS512' },
    { ...right, alg: null },
    { ...right, alg: 'RSA-OAEP' },
    { ...right, key_ops: ['sign'] },
    { ...right, key_ops: [] },
    { ...right, key_ops: 'verify' },
    { ...right, kty: 'rsa' },
    { ...right, kty: undefined },
    { ...right, kid: 1 },
    { ...right, kid: [kid] },
    { ...right, kid: `${String(kid)} ` },
    { ...right, n: undefined },
    { ...right, n: '' },
    { ...right, n: 'AA' },
    { ...right, n: 7 },
    { ...right, n: '!!' },
    { ...right, e: 'AA' },
    { ...right, e: '' },
    { ...right, e: {} },
    { kid },
    {},
  ];
  const BODIES: unknown[] = [
    null,
    'x',
    7,
    [],
    [right],
    {},
    { keys: null },
    { keys: {} },
    { keys: right },
    { keys: 'x' },
    { keys: { 0: right, length: 1 } },
    { Keys: [right] },
    { keys: [[right]] },
    { keys: [null, right] },
    { keys: ['x', right] },
  ];
  const made = Array.from({ length: count - BODIES.length }, (): unknown => {
    const keys = [...some(OTHERS, 0, 4), ...(oneIn(4) ? [] : [pick(RIGHT)]), ...some(OTHERS, 0, 2)];
    return { keys: oneIn(20) ? [...keys, ...keys, ...keys] : keys };
  });
  return [...BODIES, ...made].map((body, index) => ({ id: `made${index}`, body }));
}
