import { createHmac, createSign, type KeyObject } from 'node:crypto';
import { random } from '../random.js';
import type { Row } from '../corpora.js';
import { rsaKeyPair } from '../rsa-keys.js';

export interface MadeToken extends Row {
  token: string;
  /** Accepted by `jose` and rejected here on purpose: extensions, alternative spellings, odd claims. */
  isRefusedByUs: boolean;
  /** Accepted here and rejected by `jose`, because of clock skew. */
  isEarly: boolean;
  /** For a different user than the claims from which the rows are made. */
  isOfAnother: boolean;
}

export interface TokenMaker {
  key: KeyObject;
  publicJwk: Record<string, unknown>;
  kid: string;
  claims: Readonly<Record<string, unknown>>;
  /** The time, in seconds since the epoch. */
  now: number;
}

const other = rsaKeyPair(1);
const part = (text: string | Buffer) => Buffer.from(text).toString('base64url');

/** JSON texts of a header, most of them with the right `alg` and `kid`. */
function headers({ kid, publicJwk }: TokenMaker): string[] {
  const right = { alg: 'RS256', kid };
  const further: object[] = [
    {},
    { typ: 'JWT' },
    { typ: 'at+jwt' },
    { typ: 'dpop+jwt' },
    { typ: 1 },
    { cty: 'JWT' },
    { crit: [] },
    { crit: ['b64'], b64: false },
    { crit: ['b64'], b64: true },
    { crit: ['exp'] },
    { crit: 'exp' },
    { crit: null },
    { b64: false },
    { b64: null },
    { jku: 'http://127.0.0.1:1/keys' },
    { x5u: 'http://127.0.0.1:1/cert' },
    { jwk: publicJwk },
    { jwk: other.publicKey.export({ format: 'jwk' }) },
    { x5c: ['AAAA'] },
    { x5t: 'AAAA', 'x5t#S256': 'AAAA' },
    { kid: '' },
    { kid: null },
    { kid: 0 },
    { kid: [kid] },
    { kid: { kid } },
    { kid: `${kid} ` },
    { kid: `${kid}\0` },
    { kid: kid.toUpperCase() },
    { kid: '__proto__' },
    { kid: 'x'.repeat(5000) },
    { kid: undefined },
    { zip: 'DEF' },
    { enc: 'A128GCM' },
    { p2c: 1e9 },
    { nonce: 'x', url: 'x', iat: 1 },
  ];
  const algorithms = [
    'RS384',
    'RS512',
    'PS256',
    'ES256',
    'EdDSA',
    'HS256',
    'none',
    'RSA1_5',
    'dir',
    'rs256',
    '',
    'RS256\0',
  ];
  return [
    ...further.map((more) => JSON.stringify({ ...right, ...more })),
    ...[...algorithms, null, 0, true, ['RS256'], {}].map((alg) => JSON.stringify({ ...right, alg })),
    `{"alg":"none","alg":"RS256","kid":"${kid}"}`,
    `{"alg":"RS256","alg":"none","kid":"${kid}"}`,
    `{"alg":"RS256","kid":"x","kid":"${kid}"}`,
    `{"alg":"RS256","kid":"${kid}","__proto__":{"b64":false}}`,
    `{"\\u0061lg":"RS256","k\\u0069d":"${kid}"}`,
    ` {"alg" : "RS256" , "kid":"${kid}"}\n`,
    `\ufeff{"alg":"RS256","kid":"${kid}"}`,
    `{"alg":"RS256","kid":"${kid}"}x`,
    `{"alg":"RS256","kid":"${kid}",}`,
    `[{"alg":"RS256","kid":"${kid}"}]`,
    `{"alg":${'['.repeat(3000)}`,
    'null',
    '""',
    '1',
    '',
  ];
}

/** JSON texts of claims. */
function bodies({ claims, now }: TokenMaker): string[] {
  const times = ['exp', 'nbf', 'iat', 'auth_time'];
  const odd = [
    null,
    true,
    '',
    '0',
    String(now),
    [],
    [now],
    {},
    -1,
    0,
    1e-9,
    now - 1,
    now - 0.5,
    now,
    now + 1,
  ];
  const later = [now + 0.5, now + 59, now + 61, now + 300.5, now + 1e9, 1e15, 1e300];
  const texts = [null, true, 0, '', ' ', [], {}, 'x', '__proto__', 'x'.repeat(3000), '\ud800', '\u202e'];
  const changed = [
    {},
    ...times.flatMap((name) => [...odd, ...later].map((value) => ({ [name]: value }))),
    ...['iss', 'sub', 'sid', 'client_id', 'aud', 'org_id', 'role', 'permissions', 'jti'].flatMap((name) => [
      ...texts.map((value) => ({ [name]: value })),
      { [name]: [claims[name]] },
      { [name]: `${String(claims[name])} ` },
      { [name]: String(claims[name]).toUpperCase() },
      { [name]: undefined },
    ]),
    { act: { sub: 'x' } },
    { cnf: { jkt: 'x' } },
    { token_type: 'id_token' },
  ];
  const text = JSON.stringify(claims);
  return [
    ...changed.map((change) => JSON.stringify({ ...claims, ...change })),
    text.replace('{', '{"sub":"user_evil",'),
    `${text.slice(0, -1)},"sub":"user_evil"}`,
    `${text.slice(0, -1)},"exp":1}`,
    `${text.slice(0, -1)},"exp":1e400}`,
    `${text.slice(0, -1)},"exp":-1e400}`,
    `${text.slice(0, -1)},"exp":99999999999999999999999999}`,
    `${text.slice(0, -1)},"__proto__":{"role":"admin"}}`,
    `\ufeff${text}`,
    `${text}\0`,
    `[${text}]`,
    JSON.stringify(text),
    'null',
    '{}',
    '',
    '{"a":'.repeat(2000),
  ];
}

/** Changes to a signed token. */
const SPELLINGS: readonly ((token: string) => string)[] = [
  (token) => `${token}=`,
  (token) => `${token}\n`,
  (token) => ` ${token}`,
  (token) => `${token} `,
  (token) => `${token}.`,
  (token) => `.${token}`,
  (token) => `${token}..`,
  (token) => token.replaceAll('.', '..'),
  (token) => token.split('.').slice(0, 2).join('.'),
  (token) => `${token.split('.').slice(0, 2).join('.')}.`,
  (token) => token.replace(/\.[^.]*\./, '..'),
  (token) => token.slice(0, -1),
  (token) => token.slice(0, -1) + (token.endsWith('A') ? 'B' : 'A'),
  (token) => token.replace(/-/g, '+').replace(/_/g, '/'),
  (token) => token.replace('.', '%2e'),
  (token) => `${token}.x.y`,
  (token) => token.toUpperCase(),
  (token) => `Bearer ${token}`,
  (token) => `"${token}"`,
  (token) => Buffer.from(token).toString('base64url'),
  (token) => `${token}\0`,
  (token) => `${token},${token}`,
];

/** Headers and claims of all kinds, signed in all ways. */
export function madeTokens(maker: TokenMaker, count: number): MadeToken[] {
  const { pick, oneIn } = random('tokens');
  const [heads, claims] = [headers(maker), bodies(maker)];
  const [good, goodBody] = [heads[0] as string, claims[0] as string];
  const rows = [...heads.map((head) => [head, goodBody]), ...claims.map((body) => [good, body])];
  while (rows.length < count) rows.push([oneIn(2) ? good : pick(heads), oneIn(2) ? goodBody : pick(claims)]);
  return rows.map(([head = '', body = ''], index) => {
    const isWritten = index < heads.length + claims.length;
    const signed = `${part(head)}.${part(body)}`;
    const signatures = [
      () => createSign('RSA-SHA256').update(signed).sign(other.privateKey),
      () => createSign('RSA-SHA512').update(signed).sign(maker.key),
      () => createHmac('sha256', JSON.stringify(maker.publicJwk)).update(signed).digest(),
      () => Buffer.alloc(256),
      () => Buffer.alloc(0),
    ];
    const right = () => createSign('RSA-SHA256').update(signed).sign(maker.key);
    const signature = (isWritten || !oneIn(6) ? right : pick(signatures))();
    const token = `${signed}.${part(signature)}`;
    const spelt = isWritten || !oneIn(4) ? token : pick(SPELLINGS)(token);
    const isRefusedByUs = spelt !== token || isStricter(head, body);
    const isOfAnother = subjectOf(body) !== maker.claims['sub'];
    return {
      ...{ id: `made${index}`, token: spelt, isRefusedByUs, isOfAnother },
      isEarly: body.includes('"nbf":'),
    };
  });
}

/**
 * Rejected here and accepted by `jose`: an extension, a byte order mark, a missing user or time, a different audience.
 */
function isStricter(head: string, body: string): boolean {
  const isExtended = /"b64"|"crit"/.test(head) || head.startsWith('\ufeff') || body.startsWith('\ufeff');
  return isExtended || /"(?:sub|sid)":(?:""|[^"])|"client_id":|"aud":|"exp":1e400/.test(body);
}

function subjectOf(body: string): unknown {
  try {
    return (JSON.parse(body) as { sub?: unknown } | null)?.sub;
  } catch {
    return undefined;
  }
}
