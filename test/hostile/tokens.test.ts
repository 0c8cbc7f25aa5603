import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { authkit, requireAuth } from 'authkit-express';
import { seal } from '../../src/seal.js';
import { FRAMEWORKS, serve, type Site } from '../support/apps.js';
import { FETCH, send } from '../support/browser.js';
import { corpus, corpusKeys, type Row } from '../support/corpora.js';
import { tryAll } from '../support/tally.js';
import { whoami } from '../support/world.js';

interface TokenRow extends Row {
  name: string;
  token: string;
  expect: string;
}

const keys = corpusKeys('jwt-keys') as { now: number; issuer: string; clientId: string; jwks: object };
const cookiePassword = 'a-password-for-tokens-and-nothing-else-01';
const USER = { object: 'user', id: 'user_01TEST', email: 'x@example.com' };

/** What Node takes as headers, less the rest of the seal. */
const MAX_TOKEN = 9000;

describe.each(FRAMEWORKS)('access tokens inside a genuine seal on %s', (framework) => {
  let upstream: Server;
  let site: Site;
  let served = 0;
  /** Paths that were asked for at the one server that stands for WorkOS: keys, and refreshes that it cannot do. */
  const asked = new Set<string>();

  beforeAll(async () => {
    upstream = createServer((req, res) => {
      asked.add(req.url ?? '');
      res.setHeader('Content-Type', 'application/json').setHeader('x-request-id', 'req_1');
      const isKeys = req.url?.startsWith('/sso/jwks/') === true;
      res.statusCode = isKeys ? 200 : 500;
      res.end(JSON.stringify(isKeys ? keys.jwks : {}));
    });
    await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
    const { port } = upstream.address() as AddressInfo;
    site = await serve(framework, (app, origin) => {
      const { clientId, issuer, now } = keys;
      const api = { apiHostname: '127.0.0.1', apiHttps: false, apiPort: port };
      const clock = () => now * 1000;
      const redirectUri = `${origin}/callback`;
      app.use(
        authkit({ ...api, clientId, issuer, cookiePassword, apiKey: 'sk_test', redirectUri, now: clock }),
      );
      app.route('/protected', requireAuth(), (req, res, next) => {
        served += 1;
        whoami(req, res, next);
      });
    });
  });
  afterAll(async () => {
    upstream.closeAllConnections();
    upstream.close();
    await site.close();
  });

  test('jwts', async (context) => {
    let accepted = 0;
    await tryAll(context, { corpus: 'jwts', on: framework }, corpus<TokenRow>('jwts'), async (row) => {
      if (row.token.length > MAX_TOKEN) return 0;
      const refreshToken = `rt_${row.id}`;
      const value = await seal({ accessToken: row.token || ' ', refreshToken, user: USER }, cookiePassword);
      const reply = await send(`${site.origin}/protected`, {
        headers: { ...FETCH, cookie: `wos-session=${value}` },
      });
      const isIn = reply.status === 200;
      if (isIn) accepted += 1;
      // An expired one is for WorkOS to judge, and this one cannot.
      expect([200, 401, 431, 503]).toContain(reply.status);
      if (/^accept(?:$|-without)/.test(row.expect)) expect(isIn).toBe(true);
      if (/^reject(?:$|-iff|-or-refresh)/.test(row.expect)) expect(isIn).toBe(false);
      return 1;
    });
    expect(served).toBe(accepted);
    expect(accepted).toBeGreaterThan(0);
    // Not what `jku`, `x5u` or `iss` of a token name.
    expect([...asked].sort()).toEqual([`/sso/jwks/${keys.clientId}`, '/user_management/authenticate']);
  });
});
