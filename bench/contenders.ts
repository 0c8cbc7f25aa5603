import { basename, resolve } from 'node:path';

/** The credential that a request carries. */
export type Credential = 'session' | 'storedSession' | 'bearer' | 'apiKey';

/** A package to compare with. Each has its own server in `contenders/`. */
export interface Contender {
  readonly name: string;
  /** File name in `contenders/`, without `.mjs`. */
  readonly file: string;
  /** The package whose import is timed, if there is one in addition to Express. */
  readonly imports?: string;
  readonly takes: readonly Credential[];
  /**
   * Where the sessions come from: `workos` is the sealed cookie that all WorkOS SDKs read, `own` is what the contender
   * itself issues to users who sign in.
   */
  readonly session: 'workos' | 'own' | 'none';
  /** How a session is recognized: by a signed token, by its seal alone, or by an id that is looked up. */
  readonly by: 'nothing' | 'token' | 'seal' | 'store';
  readonly env?: Readonly<Record<string, string>>;
}

/** Port of the Redis that the benchmark starts for contenders that need it. */
export const REDIS_PORT = 6390;
const REDIS = { BENCH_REDIS: `redis://127.0.0.1:${REDIS_PORT}` };

const SESSION = { takes: ['session'] } as const;
const BEARER = { takes: ['bearer'], session: 'none', by: 'token' } as const;
const WORKOS = { ...SESSION, session: 'workos', by: 'token' } as const;
const OWN = { ...SESSION, session: 'own' } as const;
const EVERYTHING = ['session', 'storedSession', 'bearer', 'apiKey'] as const;

export const BARE: Contender = {
  name: 'Express 5',
  file: 'express5',
  takes: EVERYTHING,
  session: 'none',
  by: 'nothing',
};

const BUILD = {
  file: 'authkit-express',
  imports: '../../dist/index.js',
  session: 'workos',
  by: 'token',
} as const;

/** The package as built in a checkout, with sessions in cookies and in Redis. */
function builds(name: string, env: Readonly<Record<string, string>>): Contender[] {
  return [
    { ...BUILD, name, takes: ['session', 'bearer', 'apiKey'], env },
    { ...BUILD, name: `${name}, Redis`, takes: ['storedSession'], env: { ...env, ...REDIS } },
  ];
}

export const OURS = builds('authkit-express', {})[0] as Contender;

const PEERS: readonly Contender[] = [
  { name: '@workos-inc/node, helper', file: 'workos-node', imports: '@workos-inc/node', ...WORKOS },
  { name: '@workos-inc/node, recipe', file: 'workos-node-recipe', imports: '@workos-inc/node', ...WORKOS },
  { name: 'authkit-session', file: 'authkit-session', imports: '@workos/authkit-session', ...WORKOS },
  {
    name: '@clerk/express',
    file: 'clerk-express',
    imports: '@clerk/express',
    by: 'token',
    ...OWN,
    takes: ['session', 'bearer'],
  },
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
    by: 'store',
    env: REDIS,
    ...OWN,
    takes: ['storedSession'],
  },
  {
    name: 'express-oauth2-jwt-bearer',
    file: 'express-oauth2-jwt-bearer',
    imports: 'express-oauth2-jwt-bearer',
    ...BEARER,
  },
  { name: 'jose by hand', file: 'jose', imports: 'jose', ...BEARER },
];

/**
 * All contenders. The others are compared with the first one.
 *
 * @param roots Other checkouts of the package, whose `dist/` is measured as well.
 */
export function contenders(roots: readonly string[]): Contender[] {
  return [
    BARE,
    { ...BARE, name: 'Express 4', file: 'express4', takes: ['session'] },
    ...builds('authkit-express', {}),
    ...roots.flatMap((root) => builds(`authkit-express, ${basename(root)}`, { BENCH_ROOT: resolve(root) })),
    ...PEERS,
  ];
}

export function isOurs({ file }: Contender): boolean {
  return file === BUILD.file;
}

export function needsRedis({ env }: Contender): boolean {
  return env !== undefined && 'BENCH_REDIS' in env;
}
