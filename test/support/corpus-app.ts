import { Agent } from 'node:http';
import { connect } from 'node:net';
import { expect } from 'vitest';
import { authkit, requireAuth } from 'authkit-express';
import { createTestWorkOS, type TestWorkOS } from 'authkit-express/testing';
import { fingerprint } from '../../src/http/cookies.js';
import { newTransaction, sealTransaction } from '../../src/routes/sign-in-transaction.js';
import { serve, type Framework } from './frameworks.js';
import { NAVIGATION, send, type Ask, type Reply } from './browser.js';
import { ADA, whoami } from './app.js';

export const OLD_PASSWORD = 'an-older-cookie-password-0123456789abcdef';

/** A sign-in that has not reached its callback yet. */
export interface Begun {
  state: string;
  code: string;
  /** The Cookie header of the browser. */
  cookie: string;
}

/** A running application with the prefix of the corpora: `/auth/login`, `/auth/callback`, `/auth/logout`. */
export interface CorpusApp {
  workos: TestWorkOS;
  origin: string;
  /** How often a guarded handler ran. */
  served: () => number;
  ask: (path: string, ask?: Ask) => Promise<Reply>;
  /** Sends raw bytes, some of which Node's HTTP client refuses to send. */
  raw: (requestTarget: string, lines: readonly string[]) => Promise<string>;
  begin: (returnTo?: string) => Promise<Begun>;
  /** Seals a state by hand. Returns it with its cookie and a code. */
  sealed: (fields: SealedFields) => Promise<Begun>;
  finish: (begun: Begun) => Promise<Reply>;
  /**
   * From now on, WorkOS exchanges every code for the tokens of one sign-in, and `begin` and `sealed` do not visit it.
   * That takes a third of the time, for tests that only need sign-ins to succeed.
   */
  exchangeAnyCode: () => Promise<void>;
  close: () => Promise<void>;
}

export interface SealedFields {
  returnTo?: string;
  /** In seconds. */
  age?: number;
  password?: string;
  clientId?: string;
  redirectUri?: string;
}

export async function createCorpusApp(framework: Framework): Promise<CorpusApp> {
  const workos = await createTestWorkOS();
  const agent = new Agent({ keepAlive: true });
  let count = 0;
  const site = await serve(framework, (app, own) => {
    const cookiePassword = [workos.options.cookiePassword, OLD_PASSWORD];
    app.use(authkit({ ...workos.options, cookiePassword, redirectUri: `${own}/auth/callback` }));
    app.use(requireAuth());
    app.route('/protected', (req, res, next) => {
      count += 1;
      whoami(req, res, next);
    });
  });
  const { origin } = site;
  const ask: CorpusApp['ask'] = (path, options = {}) => send(origin + path, { agent, ...options });
  return {
    workos,
    origin,
    served: () => count,
    ask,
    raw: (requestTarget, lines) => raw(origin, requestTarget, lines),
    ...signIns(workos, origin, ask),
    async close() {
      agent.destroy();
      await site.close();
      await workos.close();
    },
  };
}

function signIns(workos: TestWorkOS, origin: string, ask: CorpusApp['ask']) {
  const clientId = workos.options.clientId;
  const redirectUri = `${origin}/auth/callback`;
  let isAnyCodeExchanged = false;
  const codeFor = async (authorizationUrl: string) => {
    if (isAnyCodeExchanged) return 'any_code';
    const callback = new URL(await workos.authorize(authorizationUrl, { user: ADA }));
    return callback.searchParams.get('code')!;
  };
  const flows: Pick<CorpusApp, 'begin' | 'sealed' | 'finish' | 'exchangeAnyCode'> = {
    async begin(returnTo = '/') {
      const query = new URLSearchParams({ returnTo }).toString();
      const away = await ask(`/auth/login?${query}`, { headers: NAVIGATION });
      if (!away.location?.startsWith(workos.url))
        throw new Error(`${returnTo.slice(0, 99)} leads to ${away.status}`);
      const cookie = away.setCookies.map((line) => line.split(';', 1)[0]).join('; ');
      const state = new URL(away.location).searchParams.get('state')!;
      return { state, code: await codeFor(away.location), cookie };
    },

    async sealed(fields) {
      const issuedAt = workos.clock.now() - (fields.age ?? 0) * 1000;
      const { transaction, secret } = newTransaction({ returnTo: fields.returnTo ?? '/' }, issuedAt);
      const cookiePasswords = [fields.password ?? workos.options.cookiePassword] as const;
      const state = await sealTransaction(transaction, { clientId, redirectUri, cookiePasswords, ...fields });
      // There is no code challenge, since the transaction was sealed by hand.
      const query = new URLSearchParams({
        response_type: 'code',
        client_id: clientId,
        redirect_uri: redirectUri,
        provider: 'authkit',
      });
      const code = await codeFor(`${workos.url}/user_management/authorize?${query.toString()}`);
      return { state, code, cookie: `wos-auth-verifier-${fingerprint(state)}=${secret}` };
    },

    finish: ({ state, code, cookie }: Begun) =>
      ask(`/auth/callback?code=${code}&state=${encodeURIComponent(state)}`, {
        headers: { ...NAVIGATION, cookie },
      }),

    async exchangeAnyCode() {
      const bodies: object[] = [];
      workos.fail({ on: 'code', times: 1, alter: (body) => (bodies.push(body), body) });
      await flows.finish(await flows.begin());
      workos.fail({ on: 'code', body: bodies[0] });
      isAnyCodeExchanged = true;
    },
  };
  return flows;
}

function raw(origin: string, requestTarget: string, lines: readonly string[]): Promise<string> {
  const { port } = new URL(origin);
  const head = [`GET ${requestTarget} HTTP/1.1`, 'Host: 127.0.0.1', 'Connection: close', ...lines].join(
    '\r\n',
  );
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), '127.0.0.1', () => {
      socket.write(`${head}\r\n\r\n`);
    });
    let text = '';
    socket.setTimeout(10_000, () => socket.destroy(new Error('no answer')));
    socket.on('data', (chunk) => (text += chunk.toString('latin1')));
    // If the request is not valid HTTP, Node closes the connection, with or without a response.
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error);
    });
    socket.on('close', () => {
      resolve(text);
    });
  });
}

export function sessionCookies(reply: Reply): string[] {
  return reply.setCookies.filter((line) => /^wos-session(\.\d+)?=[^;]/.test(line));
}

/** Expectations for the response to every row, in addition to the leak checks. */
export function sound(reply: Reply): void {
  expect(reply.status).toBeLessThan(500);
  if (reply.status >= 300 && reply.status < 400) expect([302, 303, 304]).toContain(reply.status);
}

/** Expects that the `Location` after a sign-in stays on this origin. */
export function staysOn(origin: string, location: string): void {
  expect(location).toMatch(/^[\u0021-\u007e]+$/);
  const url = new URL(location, `${origin}/auth/callback`);
  expect(url.origin).toBe(origin);
  expect(new URL(decodeURIComponent(url.pathname), origin).origin).toBe(origin);
  expect(new URL(url.pathname + url.search, origin).origin).toBe(origin);
  expect(decodeURIComponent(url.pathname)).not.toMatch(/^\/auth\/(login|logout|callback)\/?$/i);
}
