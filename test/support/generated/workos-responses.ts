import type { ServerResponse } from 'node:http';
import { deflateSync, gzipSync } from 'node:zlib';
import type { Row } from '../corpora.js';

/**
 * What a response leads to: new tokens, the end of the session, or an outage. `delivered` means tokens that are already
 * expired by this server's clock and reach the browser with a 503.
 */
export type Outcome = 'renewed' | 'ended' | 'outage' | 'delivered';

export interface AnswerRow extends Row {
  readonly outcome: Outcome;
  readonly answer: (res: ServerResponse) => void;
}

export const JSON_TYPE = { 'content-type': 'application/json' };

/** What the responses are generated from. */
export interface AnswerMaker {
  user: Readonly<Record<string, unknown>> & { readonly id: string };
  /** Signs an access token that is valid except for these claims. */
  sign: (claims: object) => Promise<string>;
  /** The time, in seconds since the epoch. */
  now: number;
}

interface Answers {
  rows: AnswerRow[];
  add: (outcome: Outcome, answer: AnswerRow['answer']) => void;
  reply: (outcome: Outcome, status: number, body: unknown, headers?: object) => void;
}

interface Good {
  user: AnswerMaker['user'];
  access_token: string;
  refresh_token: string;
}

/** Responses of all kinds, each with its expected outcome. */
export async function madeAnswers({ user, sign, now }: AnswerMaker): Promise<AnswerRow[]> {
  const answers = collect();
  const good = { user, access_token: await sign({ sid: 'session_next' }), refresh_token: 'rt_next' };
  whole(good, answers);
  broken(good, answers);
  await foreign(good, sign, now, answers);
  refused(answers);
  onTheWire(JSON.stringify(good), answers);
  ending(answers);
  return answers.rows;
}

function collect(): Answers {
  const rows: AnswerRow[] = [];
  const add: Answers['add'] = (outcome, answer) =>
    void rows.push({ id: `made${rows.length}`, outcome, answer });
  return {
    rows,
    add,
    reply(outcome, status, body, headers = {}) {
      const bytes = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
      add(outcome, (res) => void res.writeHead(status, { ...JSON_TYPE, ...headers }).end(bytes));
    },
  };
}

/** Responses with a valid session, in every notation. */
function whole(good: Good, { add, reply }: Answers): void {
  const text = JSON.stringify(good);
  reply('renewed', 200, good);
  reply('renewed', 201, good);
  reply('renewed', 200, text, { 'content-type': 'text/html' });
  reply('renewed', 200, text, { 'content-type': '' });
  reply('renewed', 200, `\ufeff${text}`);
  reply('renewed', 200, ` \n${text}\n`);
  reply('renewed', 200, gzipSync(text), { 'content-encoding': 'gzip' });
  reply('renewed', 200, deflateSync(text), { 'content-encoding': 'deflate' });
  for (const more of [
    { organization_id: 'org_1' },
    { organization_id: null },
    { organization_id: 7 },
    { organization_id: {} },
    { impersonator: null },
    { impersonator: 'x' },
    { impersonator: [] },
    { authentication_method: {} },
    { authentication_method: 'x'.repeat(100) },
    { oauth_tokens: null },
    { sealed_session: 'x' },
    { own: { authenticatedAt: 1e9 } },
    { __proto__: null, constructor: { prototype: { x: 1 } } },
    { error: 'invalid_grant' },
    { user: { ...good.user, email: null } },
    { user: { ...good.user, first_name: {}, metadata: 'x' } },
    { user: { ...good.user, first_name: '\ud800', metadata: { a: '\u2028\0' } } },
  ])
    reply('renewed', 200, { ...good, ...more });
  reply('renewed', 200, text.replace('{', '{"__proto__":{"x":1},'));
  add('renewed', (res) => {
    res.writeEarlyHints({ link: '</x>; rel=preload' });
    res.writeHead(200, JSON_TYPE).end(text);
  });
  add('renewed', (res) => {
    res.writeProcessing();
    res.writeHead(200, JSON_TYPE);
    for (const part of text.match(/[^]{1,97}/g) ?? []) res.write(part);
    res.end();
  });
}

/** Responses without a valid session. */
function broken(good: Good, { reply }: Answers): void {
  const text = JSON.stringify(good);
  for (const body of [
    '',
    '{',
    text.slice(0, -1),
    `${text}x`,
    `${text}${text}`,
    'null',
    'true',
    '7',
    '"x"',
    '[]',
    '{}',
    '<html>',
    '\0',
    Buffer.from([0xff, 0xfe]),
    Buffer.from(text, 'utf16le'),
    '['.repeat(50_000),
    'NaN',
    "{'user':1}",
    JSON.stringify([good]),
    JSON.stringify({ data: good }),
    `)]}'\n${text}`,
  ])
    reply('outage', 200, body);
  for (const [name, values] of Object.entries({
    user: [
      null,
      undefined,
      'x',
      7,
      [],
      {},
      { id: 7 },
      { id: '' },
      { id: null },
      { id: [good.user.id] },
      { ...good.user, id: 'user_other' },
    ],
    access_token: [
      null,
      undefined,
      '',
      7,
      [],
      {},
      'x',
      'a.b.c',
      [good.access_token],
      `${good.access_token} `,
      `Bearer ${good.access_token}`,
    ],
    refresh_token: [null, undefined, '', 7, [], {}, ['rt']],
  }))
    for (const value of values) reply('outage', 200, { ...good, [name]: value });
}

/** Tokens of other users, and invalid tokens. */
async function foreign(
  good: Good,
  sign: AnswerMaker['sign'],
  now: number,
  { reply }: Answers,
): Promise<void> {
  for (const claims of [
    { exp: 'x' },
    { sub: 'user_other' },
    { sub: null },
    { iss: 'https://evil.example' },
    { sid: undefined },
    { client_id: 'client_other' },
    { nbf: now + 9999 },
  ])
    reply('outage', 200, { ...good, access_token: await sign(claims) });
  reply('delivered', 200, { ...good, access_token: await sign({ exp: 1 }) });
}

/** Failures that say nothing about the session. */
function refused({ reply }: Answers): void {
  for (const status of [204, 205, 304]) reply('outage', status, '');
  for (const status of [300, 301, 302, 303, 307, 308])
    for (const location of ['/elsewhere', 'http://127.0.0.1:1/', 'x:y', ''])
      reply('outage', status, '', { location });
  for (const status of [
    400, 401, 402, 403, 404, 405, 406, 409, 410, 413, 415, 418, 421, 422, 425, 426, 431, 451, 499,
  ])
    for (const body of [
      '',
      '<html>',
      '{"message":"no"}',
      '{"error":"invalid_client"}',
      '{"code":"x","error":7}',
    ])
      reply('outage', status, body);
  const after = [
    '0',
    '1',
    '-1',
    '1.5',
    '1e9',
    'NaN',
    'Infinity',
    '',
    ' 3 ',
    '0x10',
    '99999999999999999999',
    'soon',
    'Thu, 01 Jan 1970 00:00:00 GMT',
    'Fri, 31 Dec 9999 23:59:59 GMT',
    '2026-01-01',
    '1, 2',
    '-0',
    '+5',
  ];
  for (const value of after)
    for (const status of [429, 503])
      reply('outage', status, '{"error":"slow_down"}', { 'retry-after': value });
  for (const status of [408, 429, 500, 501, 502, 503, 504, 505, 507, 511, 520, 522, 530, 599])
    for (const body of [
      '',
      '<html>',
      '{"error":"server_error"}',
      '{"error":"invalid_grant"}',
      '{"code":"mfa_challenge"}',
    ])
      reply('outage', status, body);
  reply('outage', 302, '{"error":"invalid_grant"}', { location: '/x' });
}

/** Failures caused by servers, proxies and networks. */
function onTheWire(text: string, { add, reply }: Answers): void {
  reply('outage', 200, text, { 'content-encoding': 'gzip' });
  reply('outage', 200, gzipSync(text).subarray(0, 60), { 'content-encoding': 'gzip' });
  reply('outage', 200, gzipSync(Buffer.alloc(50_000_000, 32)), { 'content-encoding': 'gzip' });
  reply('outage', 200, Buffer.alloc(3_000_000, 32));
  reply('outage', 200, text, { 'content-length': '9999' });
  reply('outage', 200, text, { 'x-long': 'x'.repeat(20_000) });
  add('outage', (res) => void res.socket?.destroy());
  add('outage', (res) => void res.socket?.end());
  add('outage', (res) => {
    res.writeHead(200, JSON_TYPE).flushHeaders();
  });
  add('outage', (res) => {
    res.writeHead(200, JSON_TYPE).write(text.slice(0, 50), () => res.socket?.destroy());
  });
  for (const raw of [
    '',
    'x',
    'HTTP/1.1',
    'HTTP/1.1 200\r\n\r\n',
    'HTTP/1.1 999 x\r\n\r\n',
    'HTTP/1.1 200 OK\r\nx\r\n\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n',
    'HTTP/2 200\r\n\r\n',
    '\0\0\0',
    'SSH-2.0-x\r\n',
    'HTTP/1.1 101 x\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
    'HTTP/1.1 100 Continue\r\n\r\n',
  ])
    add('outage', (res) => void res.socket?.end(raw));
}

/** Responses that end a session. */
function ending({ reply }: Answers): void {
  for (const [status, body] of [
    [400, { error: 'invalid_grant' }],
    [401, { error: 'invalid_grant', error_description: '<script>' }],
    [403, { error: 'invalid_grant', error_description: 7 }],
    [400, { error: 'invalid_grant', code: null }],
    [400, { error: 'invalid_grant', code: 400 }],
    [422, { code: 'invalid_grant' }],
    ...[
      'sso_required',
      'mfa_enrollment',
      'mfa_challenge',
      'email_verification_required',
      'organization_selection_required',
      'organization_authentication_methods_required',
    ].flatMap((code) =>
      [
        { code },
        { error: code },
        { code, organizations: 'x', connection_ids: {}, email: [] },
        { code, organizations: [null, 7, {}, { id: {} }], connection_ids: [null, 7], email: '\r\n' },
      ].map((one): [number, object] => [403, one]),
    ),
  ] as [number, object][])
    reply('ended', status, body);
}
