import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Server } from 'node:http';
import { afterAll, beforeAll } from 'vitest';
import { createTestWorkOS, type TestWorkOS, type TestWorkOSOptions } from 'authkit-express/testing';
import { Browser, type Reply } from './browser.js';
import { bundleCode } from './bundle.js';
import { ROOT } from './documentation.js';
import { freePort } from './free-port.js';

export interface Example {
  workos: TestWorkOS;
  origin: string;
  /** Opens a path of the example in a new browser, signs in, and returns to the path. */
  signIn: (path?: string, user?: string, browser?: Browser) => Promise<Reply & { url: string }>;
}

/** The environment of an application that runs on the test WorkOS. */
export function environmentOf({ options }: TestWorkOS, redirectUri: string): Record<string, string> {
  return {
    WORKOS_API_KEY: options.apiKey,
    WORKOS_CLIENT_ID: options.clientId,
    WORKOS_COOKIE_PASSWORD: options.cookiePassword,
    WORKOS_API_HOSTNAME: options.apiHostname,
    WORKOS_API_HTTPS: String(options.apiHttps),
    WORKOS_API_PORT: String(options.apiPort),
    WORKOS_REDIRECT_URI: redirectUri,
  };
}

export interface ExampleOptions {
  workos?: TestWorkOSOptions;
  /** Public URL of the application, if it differs from the address it listens on. */
  publicUrl?: string;
  /** Default: `/callback` on the public URL. */
  redirectUri?: string;
  env?: Record<string, string>;
  /** Environment variable that tells the application its public URL, if the redirect URI does not. */
  publicUrlIn?: string;
  /** Environment variable that holds the address of the test WorkOS. */
  workosUrlIn?: string;
}

/**
 * Runs `example/NAME/app.ts` as a developer would, configured by the environment, for the tests of a `describe`. The
 * module is loaded once in this process, because vitest gives each test file its own module instances.
 */
export function runExample(load: () => Promise<{ server: Server }>, options: ExampleOptions = {}): Example {
  const example = {} as Example;
  let server: Server | undefined;
  beforeAll(async () => {
    const port = await freePort();
    const origin = options.publicUrl ?? `http://localhost:${port}`;
    const workos = await createTestWorkOS({ homepage: origin, ...options.workos });
    const env = environmentOf(workos, options.redirectUri ?? `${origin}/callback`);
    Object.assign(process.env, env, { PORT: String(port) }, options.env);
    if (options.publicUrlIn !== undefined) process.env[options.publicUrlIn] = origin;
    if (options.workosUrlIn !== undefined) process.env[options.workosUrlIn] = workos.url;
    ({ server } = await load());
    if (!server.listening) await new Promise((resolve) => server!.once('listening', resolve));
    const signIn: Example['signIn'] = (path = '/', user = 'ada@example.com', browser = new Browser()) =>
      signInWith(browser, workos, origin + path, user);
    Object.assign(example, { workos, origin, signIn });
  });
  afterAll(async () => {
    server?.closeAllConnections();
    server?.close();
    await example.workos.close();
  });
  return example;
}

/** Opens a page, chooses a user on the sign-in page, and returns to the page. */
export async function signInWith(
  browser: Browser,
  workos: TestWorkOS,
  url: string,
  user: string,
): Promise<Reply & { url: string }> {
  const away = await browser.follow(url);
  if (away.location === undefined)
    throw new Error(`${url} did not lead to sign-in: ${away.status} ${away.body}`);
  return browser.follow(await workos.authorize(away.location, { user }));
}

/**
 * Runs `example/FILE`, the code of another library, in another process: its cookies do not meet the leak checks of this
 * one. Returns a function that ends it.
 */
export async function spawnExample(file: string, env: Record<string, string>): Promise<() => Promise<void>> {
  const code = `import { server } from './example/${file}';
    if (server.listening) console.log('up'); else server.once('listening', () => console.log('up'));`;
  const program = await bundleCode(file.replaceAll(/\W/g, '-'), code);
  const child = spawn(process.execPath, [program], { cwd: ROOT, env: { ...process.env, ...env } });
  let printed = '';
  child.stderr.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  const exited = once(child, 'exit');
  const first = await Promise.race([once(child.stdout, 'data'), exited.then(() => undefined)]);
  if (!first) throw new Error(`example/${file} did not start: ${printed}`);
  return async () => {
    child.kill();
    await exited;
  };
}
