import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { authkit, requireAuth } from 'authkit-express';
import { createTestWorkOS, type TestWorkOS } from 'authkit-express/testing';
import { seal } from '../../src/seal.js';
import { fingerprint, newTransaction, sealTransaction } from '../../src/transaction.js';
import { FRAMEWORKS, serve, type Site } from '../support/apps.js';
import { Browser, NAVIGATION, send, type Reply } from '../support/browser.js';
import { corpus, type Row } from '../support/corpora.js';
import { ADA, whoami } from '../support/world.js';

const OLD_PASSWORD = 'an-older-cookie-password-0123456789abcdef';

interface Place {
  workos: TestWorkOS;
  site: Site;
  origin: string;
  served: () => number;
}

/** A live application with a prefix, as the corpora have it: `/auth/login`, `/auth/callback`, `/auth/logout`. */
async function place(framework: (typeof FRAMEWORKS)[number]): Promise<Place> {
  const workos = await createTestWorkOS();
  let count = 0;
  const site = await serve(framework, (app, origin) => {
    const cookiePassword = [workos.options.cookiePassword, OLD_PASSWORD];
    app.use(authkit({ ...workos.options, cookiePassword, redirectUri: `${origin}/auth/callback` }));
    app.route('/protected', requireAuth(), (req, res, next) => {
      count += 1;
      whoami(req, res, next);
    });
    app.use(requireAuth());
  });
  return { workos, site, origin: site.origin, served: () => count };
}

function sessionCookies(reply: Reply): string[] {
  return reply.setCookies.filter((line) => /^wos-session(\.\d+)?=[^;]/.test(line));
}

/** What holds for every answer to every row. */
function sound(reply: Reply): void {
  expect(reply.status).toBeLessThan(500);
  expect([307, 308]).not.toContain(reply.status);
  expect(Object.keys(Object.prototype)).toEqual([]);
  for (const line of reply.setCookies) {
    expect(line).toMatch(/^[\w.-]+=[\w*~.-]*; Max-Age=\d+; Path=\/; HttpOnly; SameSite=Lax$/);
  }
}

describe.each(FRAMEWORKS)('corpora on %s', (framework) => {
  let at: Place;
  let origin = '';
  beforeAll(async () => {
    at = await place(framework);
    origin = at.origin;
  });
  afterAll(async () => {
    await at.site.close();
    await at.workos.close();
  });

  const binding = () => ({ clientId: at.workos.options.clientId, redirectUri: `${origin}/auth/callback` });

  /** A state of this browser, sealed by hand, with its cookie. */
  async function stateWith(fields: { returnTo?: string; age?: number; password?: string; client?: string }) {
    const transaction = newTransaction(
      { returnTo: fields.returnTo ?? '/' },
      at.workos.clock.now() - (fields.age ?? 0) * 1000,
    );
    const bound = { ...binding(), ...(fields.client === undefined ? {} : { clientId: fields.client }) };
    const state = await sealTransaction(
      transaction,
      bound,
      fields.password ?? at.workos.options.cookiePassword,
    );
    return { state, cookie: `wos-auth-verifier-${fingerprint(state)}=${state}` };
  }

  /** Begins a sign-in and stops before the callback: its state, its code, and the browser that holds its cookie. */
  async function begin(returnTo = '/') {
    const browser = new Browser();
    const away = await browser.go(`${origin}/auth/login?${new URLSearchParams({ returnTo }).toString()}`);
    if (!away.location?.startsWith(at.workos.url))
      throw new Error(`${returnTo.slice(0, 99)} leads to ${away.status}`);
    const callback = new URL(await at.workos.authorize(away.location, { user: ADA }));
    const cookie = await browser.jar.getCookieString(callback.href);
    return { state: callback.searchParams.get('state')!, code: callback.searchParams.get('code')!, cookie };
  }

  /** Node's own client refuses some bytes, so they are written as they are. */
  function raw(requestTarget: string, lines: readonly string[]): Promise<string> {
    const { port } = new URL(origin);
    const head = [`GET ${requestTarget} HTTP/1.1`, 'Host: 127.0.0.1', 'Connection: close', ...lines].join(
      '\r\n',
    );
    return new Promise((resolve, reject) => {
      const socket = connect(Number(port), '127.0.0.1', () => {
        socket.write(`${head}\r\n\r\n`);
      });
      let text = '';
      socket.on('data', (chunk) => (text += chunk.toString('latin1')));
      socket.on('close', () => {
        resolve(text);
      });
      socket.on('error', reject);
    });
  }

  describe('callback-queries and state-params', () => {
    interface QueryRow extends Row {
      name: string;
      query: string;
      method?: string;
      expect: string;
      note?: string;
    }

    const MUTATIONS: Record<string, (state: string) => string> = {
      append: (state) => `${state}x`,
      truncate10: (state) => state.slice(0, -10),
      upper: (state) => state.toUpperCase(),
      urlencoded2x: (state) => state.replaceAll('*', '%252A'),
      lastCharFlip: (state) => state.slice(0, -1) + (state.endsWith('2') ? '3' : '2'),
      midFlip: (state) => state.slice(0, 150) + (state[150] === 'A' ? 'B' : 'A') + state.slice(151),
      leadingSpace: (state) => `%20${state}`,
      nulAppend: (state) => `${state}%00`,
      stripVersion: (state) => state.slice(0, -2),
    };

    /** Fills the placeholders of a row and says with which cookie it is sent. */
    async function fill(row: QueryRow): Promise<{ query: string; cookie: string }> {
      const { state, code, cookie } = await begin();
      const codeOf = (query: string) => query.replace(/(^|&)code=c(?=&|;|$)/, `$1code=${code}`);
      const made = async (fields: Parameters<typeof stateWith>[0], placeholder: string) => {
        const { state: own, cookie: ownCookie } = await stateWith(fields);
        return { query: codeOf(row.query).replace(placeholder, own), cookie: ownCookie };
      };
      const returnTo = /@@STATE_WITH_RETURNTO:(.*)@@/.exec(row.query);
      if (returnTo) return made({ returnTo: returnTo[1]! }, returnTo[0]);
      if (row.query.includes('@@STATE_AGED_599@@')) return made({ age: 599 }, '@@STATE_AGED_599@@');
      if (row.query.includes('@@STATE_OLDPW@@')) return made({ password: OLD_PASSWORD }, '@@STATE_OLDPW@@');
      if (row.query.includes('@@STATE_OTHER_CLIENT@@'))
        return made({ client: 'client_other' }, '@@STATE_OTHER_CLIENT@@');
      if (row.query.includes('@@SESSION_SEAL@@')) {
        const session = (await at.workos.signIn()).split('=')[1]!;
        return {
          query: codeOf(row.query).replace('@@SESSION_SEAL@@', session),
          cookie: `wos-auth-verifier-${fingerprint(session)}=${session}`,
        };
      }
      const other = row.query.includes('@@STATE_OTHER_BROWSER@@') ? (await begin()).state : state;
      const query = codeOf(row.query)
        .replaceAll('@@STATE@@', state)
        .replace('@@STATE_OTHER_BROWSER@@', other)
        .replace(/@@STATE:(\w+)@@/, (_, name: string) => MUTATIONS[name]!(state));
      const tampered = row.note === 'flip a char in the cookie';
      return { query, cookie: tampered ? cookie.replace(/.{3}$/, 'AAA') : cookie };
    }

    const SIGNS_IN = /^(302|success)/;

    test.each([...corpus<QueryRow>('callback-queries'), ...corpus<QueryRow>('state-params')])(
      '$id $name',
      async (row) => {
        const { query, cookie } = await fill(row);
        if (row.name === 'replayed after failure') {
          const failed = await send(`${origin}/auth/callback?${query.replace(/code=[^&]+/, 'code=wrong')}`, {
            headers: { ...NAVIGATION, cookie },
          });
          expect(failed.status).toBe(400);
        }
        const before = at.workos.callsTo('code').length;
        const path = query.startsWith('/') ? query : `/auth/callback?${query}`;
        const reply = await send(origin + path, {
          method: row.method ?? 'GET',
          headers: { ...NAVIGATION, cookie },
        });
        sound(reply);
        const exchanged = at.workos.callsTo('code').length - before;
        const signedIn = sessionCookies(reply).length > 0;
        if (reply.location !== undefined) expect(new URL(reply.location).origin).toBe(origin);
        expect(reply.body).not.toMatch(/<script|javascript:|<img/);
        if (signedIn) {
          expect(row.expect).toMatch(
            /302|success|consistent|router setting|ignored|unpolluted|encode|decoded/,
          );
          expect(exchanged).toBe(1);
        } else if (SIGNS_IN.test(row.expect) && !row.query.includes('@@STATE_') && row.id !== 'cb0085') {
          expect.unreachable(`${row.id} should sign in: ${reply.status} ${reply.body.slice(0, 300)}`);
        } else if (/no exchange|no code exchange/.test(row.expect)) expect(exchanged).toBe(0);
      },
    );
  });

  describe('cookie-headers', () => {
    interface CookieRow extends Row {
      name: string;
      header: string | string[];
      via: 'http' | 'raw-socket';
      expect: string;
    }

    test.each(corpus<CookieRow>('cookie-headers'))('$id $name', async (row) => {
      const valid = (await at.workos.signIn({ user: ADA })).split('=')[1]!;
      const valid2 = (await at.workos.signIn({ user: 'grace@example.com' })).split('=')[1]!;
      const half = Math.ceil(valid.length / 2);
      const lines = [row.header]
        .flat()
        .map((header) =>
          header
            .replaceAll('@@VALID@@', valid)
            .replaceAll('@@VALID2@@', valid2)
            .replaceAll('@@CHUNK0@@', valid.slice(0, half))
            .replaceAll('@@CHUNK1@@', valid.slice(half)),
        );
      const cookies = lines.map((line) => `Cookie: ${line}`);
      const answer = await raw('/protected', cookies);
      const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)![1]);
      if (row.expect === 'authenticated') expect(status).toBe(200);
      else if (row.expect === 'authenticated; stale verifiers evicted') expect(status).toBe(200);
      else if (row.expect === 'anonymous') expect(status).toBe(401);
      else if (row.expect.startsWith('400')) expect(status).toBe(400);
      else if (row.expect.startsWith('431')) expect(status).toBe(431);
      else expect([200, 401]).toContain(status);
      if (row.expect.startsWith('exactly one user')) expect(answer).toContain(ADA);
    });
  });

  describe('seals and seal-bitflips', () => {
    interface SealRow extends Row {
      value: string;
      expect: string;
    }

    test.each([...corpus<SealRow>('seals'), ...corpus<SealRow>('seal-bitflips')])(
      '$id signs nobody in',
      async ({ value }) => {
        const before = at.served();
        // What no client can put into a header is what Node answers for; the rest reaches us.
        if (/[^\u0020-\u007e]/.test(value) || value.length > 15_000) return;
        const reply = await send(`${origin}/protected`, { headers: { cookie: `wos-session=${value}` } });
        sound(reply);
        expect(reply.status).toBe(401);
        expect(sessionCookies(reply)).toEqual([]);
        expect(at.served()).toBe(before);
      },
    );
  });

  describe('jwts', () => {
    interface TokenRow extends Row {
      token: string;
      expect: string;
    }

    test.each(corpus<TokenRow>('jwts'))(
      '$id signs nobody in: its key is not one of this WorkOS',
      async ({ token }) => {
        if (token.length > 9000) return;
        const before = at.served();
        const user = { object: 'user', id: 'user_01TEST', email: 'x@example.com' };
        const value = await seal(
          { accessToken: token || ' ', refreshToken: 'rt_unknown', user },
          at.workos.options.cookiePassword,
        );
        const reply = await send(`${origin}/protected`, { headers: { cookie: `wos-session=${value}` } });
        sound(reply);
        expect(reply.status).toBe(401);
        expect(at.served()).toBe(before);
      },
    );
  });

  describe('open redirects', () => {
    interface RedirectRow extends Row {
      input: string;
      must_resolve_to: string;
    }

    /** The oracle of the corpus, on the Location after a successful sign-in. */
    function staysHere(reply: Reply): void {
      const location = reply.headers.location!;
      expect(location).toMatch(/^[\u0021-\u007e]+$/);
      const url = new URL(location, `${origin}/auth/callback`);
      expect(url.origin).toBe(origin);
      expect(new URL(decodeURIComponent(url.pathname), origin).origin).toBe(origin);
      expect(new URL(url.pathname + url.search, origin).origin).toBe(origin);
      expect(url.pathname).not.toMatch(/^\/auth\/(login|logout|callback)/i);
    }

    async function finish(state: string, cookie: string): Promise<Reply> {
      return send(`${origin}/auth/callback?code=${await codeFor(state)}&state=${encodeURIComponent(state)}`, {
        headers: { ...NAVIGATION, cookie },
      });
    }

    /** A code of this WorkOS for a transaction that was sealed by hand: without a challenge, as an old client sends. */
    async function codeFor(state: string): Promise<string> {
      const { clientId, redirectUri } = binding();
      const query = new URLSearchParams({
        response_type: 'code',
        client_id: clientId,
        redirect_uri: redirectUri,
        provider: 'authkit',
        state,
      });
      const back = await at.workos.authorize(
        `${at.workos.url}/user_management/authorize?${query.toString()}`,
        { user: ADA },
      );
      return new URL(back).searchParams.get('code')!;
    }

    test('as the query parameter, sealed into a state, and as the request target: 3 ways for each row', async () => {
      let tried = 0;
      for (const { id, input } of corpus<RedirectRow>('open-redirect')) {
        if (input.length > 4000) {
          // Longer than the headers that Node takes, which answers by itself.
          const query = new URLSearchParams({ returnTo: input }).toString();
          expect((await send(`${origin}/auth/login?${query}`)).status, id).toBe(431);
          continue;
        }
        const asked = await begin(input);
        const byQuery = await send(
          `${origin}/auth/callback?code=${asked.code}&state=${encodeURIComponent(asked.state)}`,
          {
            headers: { ...NAVIGATION, cookie: asked.cookie },
          },
        );
        expect(byQuery.status, id).toBe(302);
        staysHere(byQuery);
        const sealed = await stateWith({ returnTo: input });
        const byState = await finish(sealed.state, sealed.cookie);
        expect(byState.status, id).toBe(302);
        staysHere(byState);
        tried += 2;
        if (/^[\u0021-\u007e]+$/.test(input)) {
          const remembered = await raw(input, ['Accept: text/html']);
          const location = /^location: (.*)\r$/im.exec(remembered)?.[1];
          if (location === undefined) continue;
          const login = new URL(location, origin);
          expect(login.origin + login.pathname, id).toBe(`${origin}/auth/login`);
          const { state, code, cookie } = await begin(login.searchParams.get('returnTo') ?? '/');
          const query = `code=${code}&state=${encodeURIComponent(state)}`;
          staysHere(await send(`${origin}/auth/callback?${query}`, { headers: { ...NAVIGATION, cookie } }));
          tried += 1;
        }
      }
      expect(tried).toBeGreaterThan(2 * 519 + 50);
    }, 120_000);

    test('good values are kept', async () => {
      for (const { id, input, must_resolve_to: expected } of corpus<RedirectRow>('open-redirect-accept')) {
        const { state, code, cookie } = await begin(input);
        const query = `code=${code}&state=${encodeURIComponent(state)}`;
        const reply = await send(`${origin}/auth/callback?${query}`, { headers: { ...NAVIGATION, cookie } });
        expect(reply.location, id).toBe(expected.replace('https://app.example.com', origin));
      }
    });
  });
});
