// `npm run example NAME` runs example/NAME/app.ts or app.cjs (the default is `main`) on http://localhost:3000, or on another
// PORT. If WORKOS_API_KEY is set, the example uses the real WorkOS. Otherwise this file starts a test WorkOS in this process
// and sets the environment variables for it.
import { existsSync, readdirSync } from 'node:fs';
import { createTestWorkOS } from 'authkit-express/testing';

const { argv, env } = process;
const [name = 'main'] = argv.slice(2);
const [file] = ['app.ts', 'app.cjs']
  .map((entry) => new URL(`${name}/${entry}`, import.meta.url))
  .filter((url) => existsSync(url));
if (!file) {
  const names = readdirSync(import.meta.dirname).filter((entry) => !entry.includes('.'));
  console.error(`There is no example "${name}". Choose one of: ${names.join(', ')}`);
  process.exit(1);
}

env['PORT'] ||= '3000';
const origin = `http://localhost:${env['PORT']}`;
env['WORKOS_REDIRECT_URI'] ||= `${origin}/callback`;
if (!env['WORKOS_API_KEY']) await useTestWorkOS(env['WORKOS_REDIRECT_URI']);

await import(file.href);
console.log(`\n  Open ${origin}\n`);

async function useTestWorkOS(redirectUri: string): Promise<void> {
  const { options } = await createTestWorkOS({ redirectUris: [redirectUri], homepage: origin });
  Object.assign(env, {
    WORKOS_API_KEY: options.apiKey,
    WORKOS_CLIENT_ID: options.clientId,
    WORKOS_COOKIE_PASSWORD: options.cookiePassword,
    WORKOS_API_HOSTNAME: options.apiHostname,
    WORKOS_API_HTTPS: String(options.apiHttps),
    WORKOS_API_PORT: String(options.apiPort),
  });
  console.log(
    '  WORKOS_API_KEY is not set, so this runs on a test WorkOS. Sign in as Ada (with access to billing), Grace or Alan.',
  );
}
