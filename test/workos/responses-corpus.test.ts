import { createPrivateKey, type JsonWebKey } from 'node:crypto';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { seal } from '../../src/session/iron-seal.js';
import { FRAMEWORKS } from '../support/frameworks.js';
import { FETCH, NAVIGATION, send } from '../support/browser.js';
import { corpusKeys } from '../support/corpora.js';
import { startFakeWorkOS, type FakeWorkOSApp } from '../support/fake-workos.js';
import { tryAll } from '../support/tally.js';
import { JSON_TYPE, madeAnswers, type AnswerRow } from '../support/generated/workos-responses.js';

const keys = corpusKeys('jwt-keys') as {
  now: number;
  issuer: string;
  clientId: string;
  jwks: object;
  privateA: JsonWebKey;
  claims: Record<string, unknown>;
};
const cookiePassword = 'a-password-for-answers-and-nothing-else-01';
const USER = { object: 'user', id: 'user_01TEST', email: 'x@example.com' };
const key = createPrivateKey({ key: keys.privateA, format: 'jwk' });
const sign = (claims: object) =>
  new SignJWT({ ...keys.claims, ...claims })
    .setProtectedHeader({ alg: 'RS256', kid: 'sso_oidc_key_pair_A' })
    .sign(key);

describe.each(FRAMEWORKS)('generated responses of WorkOS on %s', (framework) => {
  let site: FakeWorkOSApp;
  let rows: AnswerRow[] = [];

  beforeAll(async () => {
    rows = (await madeAnswers({ user: USER, sign, now: keys.now })).filter(
      (_, index) => index % 4 === FRAMEWORKS.indexOf(framework),
    );
    const byToken = new Map(rows.map((row) => [`rt_${row.id}`, row]));
    site = await startFakeWorkOS(framework, cookiePassword, (req, res) => {
      if (req.url?.startsWith('/sso/jwks/'))
        return res.writeHead(200, JSON_TYPE).end(JSON.stringify(keys.jwks));
      let body = '';
      req.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      req.on('end', () => {
        const token = /rt_made\d+/.exec(body)?.[0] ?? '';
        byToken.get(token)?.answer(res);
      });
      return res;
    });
  });
  afterAll(() => site.close());

  test('an expired session is refreshed, ended, or kept until WorkOS is available', async (context) => {
    const name = { corpus: 'workos-failures, made', on: framework };
    const attempt = async (row: AnswerRow) => {
      // A session for each row, since ending one ends all cookies with its id.
      const expired = await sign({ exp: keys.now - 60, sid: `session_${row.id}` });
      const session = { accessToken: expired, refreshToken: `rt_${row.id}`, user: USER };
      const cookie = `wos-session=${await seal(session, cookiePassword)}`;
      site.endPause();
      const isPage = rows.indexOf(row) % 3 === 0;
      const headers = { ...(isPage ? NAVIGATION : FETCH), cookie };
      const reply = await send(`${site.origin}/protected`, { headers });
      const status = { renewed: 200, ended: isPage ? 302 : 401, outage: 503, delivered: 503 }[row.outcome];
      const { setCookies } = reply;
      expect({ status: reply.status, cookies: setCookies.length }).toEqual({
        status,
        cookies: row.outcome === 'outage' ? 0 : 1,
      });
      if (row.outcome === 'ended') expect(setCookies[0]).toMatch(/^wos-session=; Max-Age=0/);
      if (status === 503) expect(reply.headers['retry-after']).toMatch(/^(?:[1-9]|[1-5]\d|60)$/);
      if (status === 302) expect(new URL(reply.location!).origin).toBe(site.origin);
      if (status !== 200) return 1;
      // The new cookie can be opened again.
      const [next = ''] = setCookies[0]!.split(';', 1);
      const again = await send(`${site.origin}/protected`, { headers: { ...FETCH, cookie: next } });
      expect(again.status).toBe(200);
      return 1;
    };
    // One at a time: an answer that asks for a pause is about all requests of an application.
    await tryAll(context, name, rows, attempt, 1);
    expect(site.served()).toBe(rows.filter(({ outcome }) => outcome === 'renewed').length * 2);
  });
});
