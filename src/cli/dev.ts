import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createTestWorkOS } from '../testing/index.js';

/**
 * Runs a command on a WorkOS of this machine, which it finds in its environment as it would find the real one. Sessions
 * last as long as that WorkOS does.
 *
 * @returns The exit status of the command.
 */
export async function runOnTestWorkOS(
  [command = '', ...args]: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<number> {
  const redirectUri = env['WORKOS_REDIRECT_URI'] || 'http://localhost:3000/callback';
  const workos = await createTestWorkOS({
    redirectUris: [redirectUri],
    homepage: new URL(redirectUri).origin,
  });
  const { apiKey, clientId, cookiePassword, apiHostname, apiHttps, apiPort } = workos.options;
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
    },
  });
  // A terminal tells both of them; whoever stops this process alone means the command.
  const stop = (signal: NodeJS.Signals) => child.kill(signal);
  process.on('SIGINT', stop).on('SIGTERM', stop);
  try {
    const [code] = (await once(child, 'exit')) as [number | null];
    return code ?? 1;
  } catch (error) {
    console.error(`${command} could not be run: ${(error as Error).message}`);
    return 127;
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
    await workos.close();
  }
}
