import { beforeEach, describe, expect, test } from 'vitest';
import type { Fault } from 'authkit-express/testing';
import { FRAMEWORKS } from '../support/frameworks.js';
import { FETCH, NAVIGATION, send, type Reply } from '../support/browser.js';
import { corpus, type Row } from '../support/corpora.js';
import { advanceMonotonicClock } from '../support/monotonic-clock.js';
import { counted } from '../support/tally.js';
import { ADA, createTestApp, type TestApp } from '../support/app.js';

interface FailureRow extends Row {
  name: string;
  class: string;
  response: { status?: number; headers?: Record<string, string>; body?: string; network?: string };
}

const SUBJECT = 'user_01';

/** Network failures that the test WorkOS can simulate. An unknown host and a bad certificate have the same effect. */
const NETWORK: Record<string, Partial<Fault>> = {
  'ECONNRESET before response': { reset: true },
  ENOTFOUND: { reset: true },
  'TLS certificate error': { reset: true },
  'slow body: 1 byte/s': { status: 200, body: '{"user":{}}', slow: true },
  'Content-Length longer than body': { status: 200, body: '{"user":{}}', truncate: true },
  UND_ERR_HEADERS_OVERFLOW: { status: 200, headers: { 'x-long': 'x'.repeat(20_000) }, body: '{}' },
};

async function faultOf({ response }: FailureRow, { workos }: TestApp): Promise<Partial<Fault>> {
  if (response.network !== undefined) return NETWORK[response.network]!;
  const now = Math.floor(workos.clock.now() / 1000);
  const issuer = `${workos.url}/user_management/${workos.options.clientId}`;
  const token = (claims: object) =>
    workos.signToken({ iss: issuer, sub: SUBJECT, sid: 'session_1', iat: now, exp: now + 300, ...claims });
  const tokens: [placeholder: string, claims: object][] = [
    ['@@JWT@@', {}],
    ['@@JWT_EXPIRED@@', { exp: now - 1 }],
    ['@@JWT_SUB_user_99@@', { sub: 'user_99' }],
    ['@@JWT_SID_2@@', { sid: 'session_2' }],
  ];
  let filled = response.body ?? '';
  for (const [placeholder, claims] of tokens)
    if (filled.includes(placeholder)) filled = filled.replaceAll(placeholder, await token(claims));
  const date = new Date(Date.now() + 2000).toUTCString();
  const headers = Object.entries(response.headers ?? {}).map(([name, value]) => [
    name,
    value.replace('@@HTTP_DATE+2s@@', date).trim(),
  ]);
  return {
    status: response.status!,
    headers: Object.fromEntries(headers) as Record<string, string>,
    body: filled,
  };
}

/** A new `sid` for the same user is accepted, because WorkOS may create a new session during a refresh. */
const isFine = (row: FailureRow) => row.class === 'valid-but-hostile' || row.name === '200 sid changed';
const isTooLarge = (row: FailureRow) => row.name.includes('huge user metadata');

function sound(reply: Reply): void {
  expect(reply.body).not.toContain('pend_SECRET');
  expect(Object.keys(Object.prototype)).toEqual([]);
  if (reply.status === 503) expect(reply.headers['retry-after']).toMatch(/^([1-9]|[1-5]\d|60)$/);
}

const sessionSet = (reply: Reply) => reply.setCookies.some((line) => /^wos-session(\.\d)?=[^;]/.test(line));
const sessionCleared = (reply: Reply) =>
  reply.setCookies.some((line) => line.startsWith('wos-session=; Max-Age=0'));

/** The row in which the new tokens have already expired by this server's clock. */
const EXPIRED_TOKENS = 'up063';

describe.each(FRAMEWORKS)('failures of WorkOS on %s', (framework) => {
  const rows = corpus<FailureRow>('workos-failures');
  let codes: string[] = [];
  // Short only for responses that take longer than any deadline.
  const setUp = ({ name }: FailureRow) =>
    createTestApp(framework, {
      workos: { users: [{ id: SUBJECT, email: ADA }] },
      authkit: {
        timeout: name.includes('slow body') ? 300 : 5000,
        onError: ({ error }) => void codes.push(error.code),
      },
    });
  beforeEach(() => {
    codes = [];
  });

  test.for(rows)('at a refresh: $id $name ($class)', async (row, context) => {
    counted(context, { corpus: 'workos-failures, refresh', on: framework });
    const at = await setUp(row);
    const cookie = await at.cookie({ user: ADA });
    at.workos.clock.advance(600_000);
    at.workos.fail({ on: 'refresh', ...(await faultOf(row, at)) });
    for (const headers of [NAVIGATION, FETCH]) {
      const reply = await send(`${at.origin}/account`, { headers: { ...headers, cookie } });
      sound(reply);
      if (isTooLarge(row))
        expect({ status: reply.status, code: codes.at(-1) }).toEqual({
          status: 500,
          code: 'cookie_too_large',
        });
      else if (isFine(row))
        expect({ status: reply.status, set: sessionSet(reply) }).toEqual({ status: 200, set: true });
      else if (row.class.startsWith('terminal')) {
        expect(reply.status).toBe(headers === NAVIGATION ? 302 : 401);
        expect(sessionCleared(reply)).toBe(true);
        // One response in two seconds clears the cookie.
        advanceMonotonicClock(2000);
      } else if (row.id === EXPIRED_TOKENS) {
        // WorkOS has rotated the tokens, so they are delivered even though they have expired by this server's clock.
        expect({ status: reply.status, set: sessionSet(reply) }).toEqual({ status: 503, set: true });
      } else
        expect({ status: reply.status, cookies: reply.setCookies }).toEqual({ status: 503, cookies: [] });
    }
    if (!isFine(row)) expect(at.served()).toBe(0);
    if (row.class.startsWith('terminal')) expect(at.workos.callsTo('refresh')).toHaveLength(1);
  });

  test.for(rows)('at the callback: $id $name ($class)', async (row, context) => {
    counted(context, { corpus: 'workos-failures, callback', on: framework });
    const at = await setUp(row);
    const { location } = await at.browser.go(`${at.origin}/login`);
    const callback = await at.workos.authorize(location!, { user: ADA });
    at.workos.fail({ on: 'code', ...(await faultOf(row, at)) });
    const reply = await at.browser.go(callback);
    sound(reply);
    if (isTooLarge(row))
      expect({ status: reply.status, codes }).toEqual({ status: 500, codes: ['cookie_too_large'] });
    else if (isFine(row)) expect(reply.status).toBe(302);
    else if (row.class.startsWith('terminal')) expect([400, 403]).toContain(reply.status);
    // A different user is an error only during a refresh, because there is no earlier session here.
    else if (row.name === '200 DIFFERENT user id') expect(reply.status).toBe(302);
    else expect(reply.status).toBe(503);
    expect(sessionSet(reply)).toBe(reply.status === 302);
    expect((await at.browser.cookieNames(at.origin)).filter((name) => name.startsWith('wos-auth-'))).toEqual(
      [],
    );
    if (reply.status >= 400) expect(reply.body).toContain(`href="${at.origin}/login"`);
  });
});
