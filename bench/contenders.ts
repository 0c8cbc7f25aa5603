/** Somebody to compare with: a server of its own in `contenders/`. */
export interface Contender {
  readonly name: string;
  /** In `contenders/`. */
  readonly file: string;
  /** The package whose import is timed; none for what is Express itself. */
  readonly imports?: string;
  /** What its session is: the sealed cookie of every WorkOS SDK, or something that it makes itself. */
  readonly session: 'workos' | 'own' | 'none';
  /** How it tells a session: by a signed token, by a seal alone, or by looking an id up. */
  readonly by: 'nothing' | 'token' | 'seal' | 'store';
  readonly env?: Readonly<Record<string, string>>;
}

/** Where the benchmark starts a Redis, for the one contender that needs it. */
export const REDIS_PORT = 6390;

const WORKOS = { session: 'workos', by: 'token' } as const;
const OWN = { session: 'own' } as const;

/** The first is what all are compared with. */
export const CONTENDERS: readonly Contender[] = [
  { name: 'Express 5', file: 'express5', session: 'none', by: 'nothing' },
  { name: 'Express 4', file: 'express4', session: 'none', by: 'nothing' },
  { name: 'authkit-express', file: 'authkit-express', imports: '../../dist/index.js', ...WORKOS },
  { name: '@workos-inc/node, helper', file: 'workos-node', imports: '@workos-inc/node', ...WORKOS },
  { name: '@workos-inc/node, recipe', file: 'workos-node-recipe', imports: '@workos-inc/node', ...WORKOS },
  { name: 'authkit-session', file: 'authkit-session', imports: '@workos/authkit-session', ...WORKOS },
  { name: '@clerk/express', file: 'clerk-express', imports: '@clerk/express', by: 'token', ...OWN },
  {
    name: 'express-openid-connect',
    file: 'express-openid-connect',
    imports: 'express-openid-connect',
    by: 'seal',
    ...OWN,
  },
  { name: '@auth/express', file: 'auth-express', imports: '@auth/express', by: 'seal', ...OWN },
  { name: 'iron-session', file: 'iron-session', imports: 'iron-session', by: 'seal', ...OWN },
  {
    name: 'express-session, memory',
    file: 'express-session',
    imports: 'express-session',
    by: 'store',
    ...OWN,
  },
  {
    name: 'express-session, Redis',
    file: 'express-session',
    imports: 'express-session',
    by: 'store',
    env: { BENCH_REDIS: `redis://127.0.0.1:${REDIS_PORT}` },
    ...OWN,
  },
];

export const BARE = CONTENDERS[0] as Contender;
export const OURS = CONTENDERS.find(({ file }) => file === 'authkit-express') as Contender;
