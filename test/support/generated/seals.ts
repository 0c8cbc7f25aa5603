import { createCipheriv, createHmac, pbkdf2Sync } from 'node:crypto';
import * as iron from 'iron-webcrypto';
import { random } from '../random.js';
import type { Row } from '../corpora.js';

export interface MadeSeal extends Row {
  value: string;
}

interface Parts {
  prefix: string;
  id: string;
  salt: string;
  iv: string;
  ciphertext: string;
  expiration: string;
  hmacSalt: string;
}

/** Signs arbitrary parts, which only the owner of the password can do. */
function signed(parts: Parts, password: string, salts: { rounds: number; hash: string }): string {
  const { prefix, id, salt, iv, ciphertext, expiration, hmacSalt } = parts;
  const text = [prefix, id, salt, iv, ciphertext, expiration].join('*');
  const key = pbkdf2Sync(password, hmacSalt, salts.rounds, 32, salts.hash);
  return `${text}*${hmacSalt}*${createHmac('sha256', key).update(text).digest('base64url')}`;
}

const PLAIN: readonly (string | Buffer)[] = [
  '',
  'null',
  '[]',
  '{}',
  '1',
  '"x"',
  'true',
  '{"accessToken":',
  '{"__proto__":{"accessToken":"a"}}',
  '{"constructor":{}}',
  '[[[[]]]]',
  '{"a":1}x',
  Buffer.from([0xff, 0xfe, 0x00]),
  'x'.repeat(5000),
  '{"purpose":"session"}',
  '{"purpose":"transaction"}',
  'undefined',
  'NaN',
  '{"a":1,"a":2}',
];
const EXPIRATIONS = [
  '',
  '0',
  '1',
  '-1',
  '1.5',
  '1e13',
  '0x1',
  'NaN',
  'Infinity',
  '9999999999999',
  '99999999999999999999',
  ' 1',
  '1 ',
  '01',
  '９',
  '1767225600000',
  '1767225540001',
  '1767225540000',
];
const SALTS = [
  '',
  '0',
  'a',
  'a'.repeat(64),
  'A'.repeat(64),
  'b'.repeat(63),
  'c'.repeat(65),
  'g'.repeat(64),
  'd'.repeat(1000),
  'é'.repeat(32),
  '%00',
  '__proto__',
  '0'.repeat(64),
  'a b',
  '\0'.repeat(64),
];
const IDS = [
  '1',
  '',
  '0',
  '2',
  '01',
  ' 1',
  '1 ',
  '١',
  '__proto__',
  'constructor',
  'x'.repeat(200),
  '1,1',
  '*',
];
const PREFIXES = ['Fe26.2', 'Fe26.1', 'Fe26.3', 'fe26.2', 'Fe26.2 ', '\ufeffFe26.2', 'Fe262', 'Fe26.2.2', ''];
const SUFFIXES = [
  '~2',
  '',
  '~',
  '~1',
  '~3',
  '~02',
  '~2~2',
  '~2 ',
  '~2\n',
  '~-2',
  '~2.0',
  '~1e0',
  '2',
  '%7E2',
  '~２',
  '*~2',
];
const RESPELT: readonly ((text: string) => string)[] = [
  (text) => `${text}=`,
  (text) => `${text}==`,
  (text) => text.replace(/-/g, '+'),
  (text) => text.replace(/_/g, '/'),
  (text) => `${text}A`,
  (text) => text.slice(0, -1),
  (text) => `${text.slice(0, -1)}${text.endsWith('B') ? 'C' : 'B'}`,
  (text) => ` ${text}`,
  (text) => `${text}\n`,
  (text) => text.toLowerCase(),
  () => '',
  (text) => text + text,
  (text) => `${text}!`,
];

/** Seals of sessions and other values, with parts in every form, made with the right password and with wrong ones. */
export function madeSeals(session: object, password: string, count: number): MadeSeal[] {
  const { pick, oneIn } = random('seals');
  const plain = JSON.stringify(session);
  return Array.from({ length: count }, (_, index) => {
    const rarely = <T>(usual: T, others: readonly T[]) => (oneIn(7) ? pick(others) : usual);
    const by = rarely(password, [`${password} `, password.slice(0, -1), '', 'x'.repeat(40)]);
    const salts = rarely({ rounds: 1, hash: 'sha1' }, [
      { rounds: 2, hash: 'sha1' },
      { rounds: 1, hash: 'sha256' },
    ]);
    const salt = rarely('e'.repeat(64), SALTS);
    const vector = Buffer.alloc(16, index % 256);
    const cipher = createCipheriv('aes-256-cbc', pbkdf2Sync(by, salt, salts.rounds, 32, salts.hash), vector);
    const text = rarely<string | Buffer>(plain, PLAIN);
    const encrypted = Buffer.concat([cipher.update(text as string), cipher.final()]).toString('base64url');
    const parts = {
      prefix: rarely('Fe26.2', PREFIXES),
      id: rarely('1', IDS),
      salt,
      iv: oneIn(9) ? pick(RESPELT)(vector.toString('base64url')) : vector.toString('base64url'),
      ciphertext: oneIn(9) ? pick(RESPELT)(encrypted) : encrypted,
      expiration: rarely('', EXPIRATIONS),
      hmacSalt: rarely('f'.repeat(64), SALTS),
    };
    const whole = signed(parts, by, salts);
    const respelt = oneIn(12) ? pick(RESPELT)(whole) : whole;
    return { id: `made${index}`, value: respelt + rarely('~2', SUFFIXES) };
  });
}

/** What iron-webcrypto reads from a seal with the suffix that every SDK adds; `undefined` if it rejects it. */
export async function ironOpens(value: string, password: string, now: number): Promise<unknown> {
  if (!value.endsWith('~2')) return undefined;
  try {
    const options = { ...iron.defaults, ttl: 0, localtimeOffsetMsec: now - Date.now() };
    return await iron.unseal(value.slice(0, -2), { '1': password }, options);
  } catch {
    return undefined;
  }
}
