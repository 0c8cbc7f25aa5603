import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseEnv } from 'node:util';
import { resolveConfig } from '../config/index.js';
import { AuthKitError } from '../errors.js';
import { createFetch, UpstreamError } from '../workos/fetch.js';
import { createLimiter } from '../workos/rate-limit-and-circuit-breaker.js';

export interface InitOptions {
  /** The file to write, such as `.env`. */
  file: string;
  env: NodeJS.ProcessEnv;
  /** Port of the app on this machine. Default: 3000. */
  port: number | undefined;
}

/** Creates a cookie password: 32 random bytes, encoded as 44 base64 characters. */
export function createCookiePassword(): string {
  return randomBytes(32).toString('base64');
}

/**
 * Adds the variables that `authkit()` needs to an env file. Variables that the file already contains are not changed.
 * If the client ID and the API key are set in the file or in the environment, this function also registers the redirect
 * URI with WorkOS.
 *
 * @returns Messages that tell the user what was done and what is left to do.
 */
export async function initialize({ file, env, port }: InitOptions): Promise<string[]> {
  const before = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const known = parseEnv(before) as Record<string, string>;
  const values = {
    WORKOS_CLIENT_ID: env['WORKOS_CLIENT_ID'] ?? '',
    WORKOS_API_KEY: env['WORKOS_API_KEY'] ?? '',
    WORKOS_REDIRECT_URI: env['WORKOS_REDIRECT_URI'] ?? `http://localhost:${port ?? 3000}/callback`,
    WORKOS_COOKIE_PASSWORD: env['WORKOS_COOKIE_PASSWORD'] ?? createCookiePassword(),
  };
  const missing = Object.entries(values).filter(([name]) => known[name] === undefined);
  const lines = missing.map(([name, value]) => `${name}=${value}\n`).join('');
  const separator = before === '' || before.endsWith('\n') ? '' : '\n';
  // A new file is readable only by its owner, because it contains secrets.
  if (lines !== '') writeFileSync(file, before + separator + lines, { mode: 0o600 });
  const names = missing.map(([name]) => name).join(', ');
  const said = [lines === '' ? `${file} already has all variables.` : `Added to ${file}: ${names}.`];
  if (!isIgnored(file)) said.push(`Add ${file} to .gitignore, because it holds secrets.`);
  // An empty variable counts as not set, as everywhere in this package.
  const set = Object.entries(known).filter(([, value]) => value.trim() !== '');
  const all = { ...values, ...Object.fromEntries(set) };
  if (port !== undefined && !all.WORKOS_REDIRECT_URI.includes(`:${port}/`))
    said.push(
      `WORKOS_REDIRECT_URI is ${all.WORKOS_REDIRECT_URI}: change it yourself if the port has changed.`,
    );
  const empty = (['WORKOS_CLIENT_ID', 'WORKOS_API_KEY'] as const).filter((name) => all[name] === '');
  if (empty.length > 0) {
    said.push(
      `Set ${empty.join(' and ')} in ${file}: the WorkOS dashboard shows them under API Keys. Then run this command ` +
        `again, or add ${all.WORKOS_REDIRECT_URI} in the dashboard under Redirects.`,
    );
  } else said.push(await registerRedirectUri({ ...env, ...all }));
  said.push(`Start the app, for example with: node --env-file=${file} app.mjs`);
  return said;
}

function isIgnored(file: string): boolean {
  const ignore = join(dirname(file), '.gitignore');
  if (!existsSync(ignore)) return false;
  const name = file.slice(dirname(file) === '.' ? 0 : dirname(file).length + 1);
  return readFileSync(ignore, 'utf8')
    .split('\n')
    .some((line) => [name, `/${name}`, `${name}*`, '*.env', '.env*'].includes(line.trim()));
}

/**
 * Registers the redirect URI with WorkOS, and returns a message that tells the user the result.
 *
 * @see https://workos.com/docs/reference/authkit/redirect-uri
 */
async function registerRedirectUri(env: NodeJS.ProcessEnv): Promise<string> {
  let config;
  try {
    config = resolveConfig({}, env);
  } catch (error) {
    if (error instanceof AuthKitError) return error.message;
    throw error;
  }
  const { redirectUri, apiKey, api } = config;
  const { clientId, timeout, now } = config;
  const limiter = createLimiter({ clientId, now });
  const call = createFetch({ timeout, limiter, priority: 'background', fetch: config.fetch });
  try {
    await call(`${api.origin}/user_management/redirect_uris`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${apiKey}`, 'Content-Type': 'application/json' },
      body: JSON.stringify({ uri: redirectUri }),
    });
    return `WorkOS now accepts ${redirectUri} as a redirect URI.`;
  } catch (error) {
    if (!(error instanceof UpstreamError)) throw error;
    if (error.status === 422 && String(error.body['message']).includes('already exists'))
      return `WorkOS already accepts ${redirectUri} as a redirect URI.`;
    return `The redirect URI could not be registered (${error.message}): add ${redirectUri} in the WorkOS dashboard under Redirects.`;
  }
}
