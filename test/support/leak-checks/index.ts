import debug from 'debug';
import { setImmediate as turn } from 'node:timers/promises';
import { format, inspect } from 'node:util';
import { Secrets } from './secrets.js';
import { checkOwnCookie, parseSetCookie } from './set-cookie.js';
import { watchExchanges, type Exchange } from './wire.js';

const problems = new Set<string>();
const secrets = new Secrets();
/** Texts that have left the package since the last check, and where they were seen. */
let said = new Map<string, string>();
const inspected = new WeakSet();

function say(where: string, text: string): void {
  said.set(text, where);
}

/** Checks a value that the package passed to an application: an error, or a property of `req`. */
export function handedOut(value: unknown): void {
  if (typeof value !== 'object' || value === null || inspected.has(value)) return;
  inspected.add(value);
  say('in util.inspect of what the application sees', inspect(value, { depth: 9, getters: true }));
  try {
    say('in JSON of what the application sees', JSON.stringify(value));
  } catch {
    // A value that cannot be serialized does not leak anything this way.
  }
}

const isWorkOS = ({ request: { url = '' }, head }: Exchange) =>
  /^x-request-id: req_/im.test(head) || /^\/(?:user_management|sso|oauth2|_test)\//.test(url);

/** The only response that may contain tokens: it goes to a client that has proved its verifier. */
const isGrant = ({ request: { method, url }, response: { statusCode } }: Exchange) =>
  method === 'POST' && url === '/token' && statusCode === 200;

function record(exchange: Exchange): void {
  if (isWorkOS(exchange)) {
    harvest(exchange.requestBody, SENT);
    harvest(exchange.responseBody, ANSWERED);
    return;
  }
  const { request, response, head, responseBody } = exchange;
  const target = `${request.method ?? ''} ${(request.url ?? '').slice(0, 80)}`;
  if ([307, 308].includes(response.statusCode)) problems.add(`${response.statusCode} for ${target}`);
  for (const [, line = ''] of head.matchAll(/^set-cookie: (.*)\r$/gim)) readCookie(line, target);
  for (const [, seal] of (request.headers.cookie ?? '').matchAll(/wos-session(?:\.\d+)?=(Fe26\.2\*[^;]+)/g))
    secrets.add('session seal', seal);
  if (!isGrant(exchange)) say(`in the answer to ${target}`, responseBody);
  const { auth } = request as { auth?: { accessToken?: string } };
  secrets.add('access_token', auth?.accessToken);
  handedOut(auth);
  handedOut((request as { user?: unknown }).user);
}

function readCookie(line: string, target: string): void {
  try {
    const cookie = parseSetCookie(line);
    if (!cookie.name.includes('wos-')) return;
    checkOwnCookie(cookie);
    if (!cookie.name.includes('verifier')) secrets.add('session seal', cookie.value);
  } catch (error) {
    problems.add(`${(error as Error).message} (${target})`);
  }
}

const field = (names: string) => new RegExp(`"?(${names})(?:"\\s*:\\s*"|=)([^"&]+)`, 'g');
const SENT = field('code|code_verifier|refresh_token|client_secret|pending_authentication_token');
const ANSWERED = field('access_token|refresh_token|pending_authentication_token');

function harvest(body: string, fields: RegExp): void {
  for (const [, kind = '', value] of body.matchAll(fields)) secrets.add(kind, value);
}

/** The checks of one test file. */
interface Checks {
  readonly record: typeof record;
  readonly say: typeof say;
  readonly report: (problem: string) => void;
}

/** Test files that run in the same process patch it once, and each has its own checks. */
const watched = process as NodeJS.Process & { authkitLeakChecks?: Checks };

/** Checks everything that is sent and printed from now on, with all logs of the package enabled. */
export function watch(): void {
  const isPatched = watched.authkitLeakChecks !== undefined;
  watched.authkitLeakChecks = { record, say, report: (problem) => problems.add(problem) };
  debug.enable('authkit:*');
  debug.log = (...args: unknown[]) => {
    say('in the log', format(...args));
  };
  if (!isPatched) patch(() => watched.authkitLeakChecks!);
}

function patch(current: () => Checks): void {
  watchExchanges((exchange) => {
    current().record(exchange);
  });
  process.on('warning', (warning) => {
    current().say('in a warning', inspect(warning));
    if (warning.name === 'MaxListenersExceededWarning') current().report(inspect(warning));
  });
  process.on('unhandledRejection', (reason) => {
    current().report(`unhandled rejection: ${inspect(reason)}`);
  });
  process.on('uncaughtException', (error) => {
    current().report(`uncaught exception: ${inspect(error)}`);
  });
  for (const stream of [process.stdout, process.stderr]) {
    const write = stream.write.bind(stream);
    stream.write = (chunk: string | Uint8Array, ...rest: []) => {
      current().say('in the output', String(chunk));
      return write(chunk, ...rest);
    };
  }
}

const clean = shape();
/** The own keys of the prototypes that prototype pollution would change. */
function shape(): string {
  return [Object.prototype, Array.prototype, Function.prototype, String.prototype]
    .map((prototype) => Reflect.ownKeys(prototype).map(String).join())
    .join('|');
}

/** The problems found since the last check. */
export async function look(): Promise<string[]> {
  await turn();
  if (shape() !== clean) problems.add('a built-in prototype was changed');
  for (const [text, where] of said) {
    for (const kind of secrets.in(text)) problems.add(`${kind} ${where}: ${text.slice(0, 300)}`);
  }
  said = new Map();
  const found = [...problems];
  problems.clear();
  return found;
}

const KEPT_OPEN = ['TCPServerWrap', 'TCPSocketWrap', 'Timeout', 'ProcessWrap', 'PipeWrap'];

/** The resources that keep the process running, and the number of its listeners. */
export function open(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const type of process.getActiveResourcesInfo()) {
    if (KEPT_OPEN.includes(type)) counts[type] = (counts[type] ?? 0) + 1;
  }
  for (const event of process.eventNames())
    counts[`listeners of ${String(event)}`] = process.listenerCount(event);
  return counts;
}
