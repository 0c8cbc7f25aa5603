import { BARE, isOurs, type Contender, type Credential } from './contenders.js';
import type { Server } from './server.js';
import type { Sessions } from './sessions.js';

export const SCENARIOS = [
  'hot',
  'many',
  'cold',
  'anonymous',
  'foreign',
  'static',
  'bearer',
  'bearers',
  'apiKey',
  'store',
  'stores',
] as const;
export type ScenarioName = (typeof SCENARIOS)[number];

export interface Scenario {
  readonly credential: Credential;
  /** What readers of the results need to know. */
  readonly title: string;
  /** Whether a contender that accepts the credential is included. Default: all of them are. */
  readonly isFor?: (contender: Contender) => boolean;
  /** Number of users, who send requests in turn. */
  readonly users: number;
  readonly request: (credential: string) => Buffer;
  /** Each request carries a cookie that the server has not seen before. */
  readonly isCold?: true;
}

const oursAndBare = (contender: Contender) => contender === BARE || isOurs(contender);
const withCookie = (path: string) => (cookie: string) => request(path, `Cookie: ${cookie}`);
const withToken = (token: string) => request('/api', `Authorization: Bearer ${token}`);

/**
 * Enough sessions that a cached lookup expires before its session's next request, which then reads from Redis again.
 */
export const STORED_SESSIONS = 1500;

const DEFINITIONS: Readonly<Record<ScenarioName, Scenario>> = {
  hot: { title: 'one session', credential: 'session', users: 1, request: withCookie('/me') },
  many: { title: '200 sessions', credential: 'session', users: 200, request: withCookie('/me') },
  cold: {
    title: 'the first request of a session',
    credential: 'session',
    users: 1000,
    request: withCookie('/me'),
    isCold: true,
    // A session that is looked up does not exist until its first request.
    isFor: ({ by, file }) => by !== 'store' && file !== 'express4',
  },
  anonymous: {
    title: 'a public route, without a cookie',
    credential: 'session',
    users: 0,
    request: () => request('/open'),
    isFor: ({ by }) => by === 'nothing' || by === 'token',
  },
  foreign: {
    title: 'a public route, with cookies of others',
    credential: 'session',
    users: 1,
    request: (cookie) => request('/open', `Cookie: ${padded('_ga=GA1.1.1', cookie.length)}`),
    isFor: oursAndBare,
  },
  static: {
    title: 'a static file, with a session',
    credential: 'session',
    users: 1,
    request: withCookie('/static/cookie.mjs'),
    isFor: oursAndBare,
  },
  bearer: { title: 'one access token', credential: 'bearer', users: 1, request: withToken },
  bearers: { title: '1000 access tokens', credential: 'bearer', users: 1000, request: withToken },
  apiKey: { title: 'an API key', credential: 'apiKey', users: 1, request: withToken },
  store: { title: 'one session in Redis', credential: 'storedSession', users: 1, request: withCookie('/me') },
  stores: {
    title: `${STORED_SESSIONS} sessions in Redis`,
    credential: 'storedSession',
    users: STORED_SESSIONS,
    request: withCookie('/me'),
  },
};

export function scenarioOf(name: ScenarioName): Scenario {
  return DEFINITIONS[name];
}

export function takesPart(contender: Contender, { credential, isFor }: Scenario): boolean {
  return contender.takes.includes(credential) && (isFor?.(contender) ?? true);
}

/** The requests of one contender in one scenario. */
export interface Requests {
  /** Returns at least this many requests. In a cold scenario, they are new each time. */
  list: (count: number) => Buffer[];
  /** Size of the `Cookie` header that the contender itself makes. */
  readonly cookieBytes: number;
}

export async function requestsOf(
  scenario: Scenario,
  contender: Contender,
  server: Server,
  sessions: Sessions,
): Promise<Requests> {
  const { users, credential, request: toRequest, isCold } = scenario;
  if (users === 0) return { list: () => [toRequest('')], cookieBytes: 0 };
  const own = await credentialsOf(contender, server, sessions, credential, users);
  // Every server receives headers of the same size. If a session is smaller, other cookies make up the difference.
  const size = sessions.cookies[0]?.length ?? 0;
  const isCookie = credential === 'session' || credential === 'storedSession';
  const sent = own.map((value) => toRequest(isCookie ? padded(value, size) : value));
  const isResealed = isCold === true && contender.session !== 'own';
  return {
    list: (count) => (isResealed ? Array.from({ length: count }, () => toRequest(sessions.fresh())) : sent),
    cookieBytes: isCookie ? (own[0]?.length ?? 0) : 0,
  };
}

/** What users of this contender send once they have signed in. */
async function credentialsOf(
  contender: Contender,
  server: Server,
  sessions: Sessions,
  credential: Credential,
  users: number,
): Promise<readonly string[]> {
  const isOwn = contender.session === 'own';
  switch (credential) {
    case 'session':
      return isOwn ? server.cookies(users) : sessions.cookies.slice(0, users);
    case 'storedSession':
      if (isOwn) return server.cookies(users);
      return isOurs(contender)
        ? stored(server, sessions.cookies.slice(0, users))
        : sessions.cookies.slice(0, users);
    case 'bearer':
      return isOwn ? (await server.cookies(users)).map(tokenIn) : sessions.tokens(users);
    case 'apiKey':
      return [sessions.apiKey];
  }
}

/** Clerk's session token, which its clients send as a cookie or as a bearer token. */
function tokenIn(cookies: string): string {
  return /__session=([^;]+)/.exec(cookies)?.[1] ?? '';
}

/** Moves sessions from cookies to the store of a server, and returns the cookies with their ids. */
async function stored({ port }: Server, cookies: readonly string[]): Promise<string[]> {
  const moved: string[] = [];
  for (const cookie of cookies) {
    const response = await fetch(`http://127.0.0.1:${port}/me`, { headers: { cookie } });
    await response.arrayBuffer();
    const [set] = response.headers.getSetCookie();
    if (set === undefined) throw new Error('a session was not moved to the store');
    moved.push(set.slice(0, set.indexOf(';')));
  }
  return moved;
}

function padded(cookie: string, size: number): string {
  const room = size - cookie.length - '; other='.length;
  return room > 0 ? `${cookie}; other=${'x'.repeat(room)}` : cookie;
}

export function request(path: string, ...headers: readonly string[]): Buffer {
  const lines = [`GET ${path} HTTP/1.1`, 'Host: localhost', 'Accept: */*', ...headers];
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}
