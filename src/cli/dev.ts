import spawn from 'cross-spawn';
import { once } from 'node:events';
import { constants } from 'node:os';
import { canParse } from '../url-can-parse.js';
import { createTestWorkOS } from '../testing/index.js';

const DEFAULT_PORT = 3000;

export interface DevOptions {
  /** Port of the app. It is passed to the command as `PORT`, and replaces the port in the redirect URI. */
  port: number | undefined;
  env: NodeJS.ProcessEnv;
}

/**
 * Starts a test WorkOS, and runs a command with environment variables that point to it. When the command exits, the
 * test WorkOS is closed, and its sessions are lost.
 *
 * @returns The exit status of the command. If a signal ended the command, 128 plus the number of the signal. If the
 * command could not be started, 127.
 */
export async function runOnTestWorkOS(
  [command = '', ...args]: readonly string[],
  { port, env }: DevOptions,
): Promise<number> {
  const redirectUri = redirectUriOf(port, env);
  const workos = await createTestWorkOS({
    redirectUris: [redirectUri],
    homepage: new URL(redirectUri).origin,
  });
  const { apiKey, clientId, cookiePassword, apiHostname, apiHttps, apiPort } = workos.options;
  console.error(announcement(workos.url, redirectUri));
  const child = spawn(command, args, {
    stdio: 'inherit',
    env: {
      ...env,
      WORKOS_API_KEY: apiKey,
      WORKOS_CLIENT_ID: clientId,
      WORKOS_COOKIE_PASSWORD: cookiePassword,
      WORKOS_REDIRECT_URI: redirectUri,
      WORKOS_API_HOSTNAME: apiHostname,
      WORKOS_API_HTTPS: String(apiHttps),
      WORKOS_API_PORT: String(apiPort),
      ...(port === undefined ? {} : { PORT: String(port) }),
    },
  });
  // When the user presses Ctrl+C, the terminal sends SIGINT to both processes. A signal from another process reaches
  // only this process, so it is passed on to the command.
  const stop = (signal: NodeJS.Signals) => child.kill(signal);
  process.on('SIGINT', stop).on('SIGTERM', stop);
  try {
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    return code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    console.error(
      `${command} could not be started: ${code === 'ENOENT' ? 'there is no such command' : message}`,
    );
    return 127;
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
    await workos.close();
  }
}

function redirectUriOf(port: number | undefined, env: NodeJS.ProcessEnv): string {
  const given = env['WORKOS_REDIRECT_URI'];
  const url =
    given && canParse(given) ? new URL(given) : new URL(`http://localhost:${DEFAULT_PORT}/callback`);
  if (port !== undefined) url.port = String(port);
  return url.href;
}

function announcement(workosUrl: string, redirectUri: string): string {
  const { origin, pathname } = new URL(redirectUri);
  const login = pathname.endsWith('/callback')
    ? `${origin}${pathname.slice(0, -'/callback'.length)}/login`
    : origin;
  return `
  The test WorkOS runs at ${workosUrl}. Its sessions end when this command ends.

  When the app is running, sign in at ${login} as one of these users. No password is needed.
    Ada    ada@example.com    administrator of an organization
    Grace  grace@example.com  member of the same organization
    Alan   alan@example.com   without an organization
`;
}
