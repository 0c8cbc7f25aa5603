import { createPrivateKey, type JsonWebKey } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLocalJWKSet, jwtVerify, type JSONWebKeySet } from 'jose';
import { createVerifier } from '../../src/workos/access-token.js';
import { createJWKS } from '../../src/workos/jwks.js';
import { seal } from '../../src/session/iron-seal.js';
import { FRAMEWORKS } from '../support/frameworks.js';
import { FETCH, send } from '../support/browser.js';
import { corpus, corpusKeys, type Row } from '../support/corpora.js';
import { startFakeWorkOS, type FakeWorkOSApp } from '../support/fake-workos.js';
import { tryAll } from '../support/tally.js';
import { madeTokens, type MadeToken } from '../support/generated/tokens.js';
import { sessionTokensOf } from '../support/session-tokens.js';

interface TokenRow extends Row {
  name: string;
  token: string;
  expect: string;
}

const keys = corpusKeys('jwt-keys') as {
  now: number;
  issuer: string;
  clientId: string;
  jwks: JSONWebKeySet;
  privateA: JsonWebKey;
  claims: Record<string, unknown>;
};
const cookiePassword = 'a-password-for-tokens-and-nothing-else-01';
const USER = { object: 'user', id: 'user_01TEST', email: 'x@example.com' };

/** Number of rows that are sent to a server on each framework. */
const SENT = 30;
const made = madeTokens(
  {
    key: createPrivateKey({ key: keys.privateA, format: 'jwk' }),
    publicJwk: keys.jwks.keys[0] as Record<string, unknown>,
    kid: keys.jwks.keys[0]?.kid ?? '',
    claims: keys.claims,
    now: keys.now,
  },
  600,
);

/** Whether jose, with the same rules, accepts a token. */
async function joseTakes(token: string): Promise<boolean> {
  const rules = {
    algorithms: ['RS256'],
    issuer: keys.issuer,
    currentDate: new Date(keys.now * 1000),
    requiredClaims: ['exp', 'sub', 'sid'],
  };
  return jwtVerify(token, createLocalJWKSet(keys.jwks), rules).then(
    () => true,
    () => false,
  );
}

/** Expects jose's result, except that this package is stricter on purpose and more tolerant only of clock skew. */
async function agrees(row: MadeToken, isIn: boolean): Promise<void> {
  const isRight = await joseTakes(row.token);
  if (isRight && !row.isRefusedByUs) expect(isIn).toBe(true);
  if (!isRight && !row.isEarly) expect(isIn).toBe(false);
}

/** Node's header limit minus the rest of the seal. */
const MAX_TOKEN = 9000;

describe.each(FRAMEWORKS)('access tokens inside a genuine seal on %s', (framework) => {
  let site: FakeWorkOSApp;
  /** Paths that were requested from the fake WorkOS: keys, and refreshes, which fail. */
  const asked = new Set<string>();

  beforeAll(async () => {
    site = await startFakeWorkOS(framework, cookiePassword, (req, res) => {
      asked.add(req.url ?? '');
      res.setHeader('Content-Type', 'application/json').setHeader('x-request-id', 'req_1');
      const isKeys = req.url?.startsWith('/sso/jwks/') === true;
      res.statusCode = isKeys ? 200 : 500;
      res.end(JSON.stringify(isKeys ? keys.jwks : {}));
    });
  });
  afterAll(() => site.close());

  async function ask(id: string, accessToken: string): Promise<number> {
    const value = await seal({ accessToken, refreshToken: `rt_${id}`, user: USER }, cookiePassword);
    const { status } = await send(`${site.origin}/protected`, {
      headers: { ...FETCH, cookie: `wos-session=${value}` },
    });
    // An expired token requires a refresh, which fails here.
    expect([200, 401, 431, 503]).toContain(status);
    return status;
  }

  test('jwts', async (context) => {
    let accepted = 0;
    await tryAll(context, { corpus: 'jwts', on: framework }, corpus<TokenRow>('jwts'), async (row) => {
      if (row.token.length > MAX_TOKEN) return 0;
      const isIn = (await ask(row.id, row.token || ' ')) === 200;
      if (isIn) accepted += 1;
      if (/^accept(?:$|-without)/.test(row.expect)) expect(isIn).toBe(true);
      if (/^reject(?:$|-iff|-or-refresh)/.test(row.expect)) expect(isIn).toBe(false);
      return 1;
    });
    expect(site.served()).toBe(accepted);
    expect(accepted).toBeGreaterThan(0);
    // No URL from a token's `jku`, `x5u` or `iss` was requested.
    expect([...asked].sort()).toEqual([`/sso/jwks/${keys.clientId}`, '/user_management/authenticate']);
  });

  test('generated rows of the same kinds', async (context) => {
    const nth = made.length / SENT;
    const at = FRAMEWORKS.indexOf(framework);
    const rows = made.filter((_, index) => index % nth === at);
    const before = site.served();
    let accepted = 0;
    await tryAll(context, { corpus: 'jwts, made', on: framework }, rows, async (row) => {
      if (row.token.length > MAX_TOKEN) return 0;
      const isIn = (await ask(row.id, row.token || ' ')) === 200;
      if (isIn) accepted += 1;
      // The seal also contains the user, who must match the token's.
      if (row.isOfAnother) expect(isIn).toBe(false);
      else await agrees(row, isIn);
      return 1;
    });
    expect(site.served() - before).toBe(accepted);
  });
});

test('a generated token is accepted if and only if jose accepts it', async (context) => {
  const now = () => keys.now * 1000;
  const set = createJWKS({
    clientId: 'client_1',
    fetchKeys: () => Promise.resolve(keys.jwks),
    now,
    softTimeout: 1000,
  });
  const { issuer, clientId } = keys;
  const verify = createVerifier({ issuers: [issuer], accepts: sessionTokensOf(clientId), now, keys: set });
  let taken = 0;
  await tryAll(context, { corpus: 'jwts, made', on: 'function' }, made, async (row) => {
    const isIn = (await verify(row.token)).kind === 'valid';
    if (isIn) taken += 1;
    await agrees(row, isIn);
    return 1;
  });
  expect(taken).toBeGreaterThan(made.length / 10);
});
