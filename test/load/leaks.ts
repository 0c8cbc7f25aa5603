/**
 * Many sign-ins and many guarded requests through one process: `npm run test:leaks`.
 * AUTHKIT_SIGN_INS (100,000) and AUTHKIT_REQUESTS (1,000,000) say how many. Ends with 1 if the heap grows steadily or
 * Node warns of listeners.
 */
import { Agent } from 'node:http';
import { authkit, requireAuth } from 'authkit-express';
import { createTestWorkOS } from 'authkit-express/testing';
import { serve } from '../support/apps.js';
import { FETCH, NAVIGATION, send } from '../support/browser.js';

const SIGN_INS = Number(process.env['AUTHKIT_SIGN_INS'] ?? 100_000);
const REQUESTS = Number(process.env['AUTHKIT_REQUESTS'] ?? 1_000_000);
const AT_ONCE = 50;
const SAMPLES = 10;
/** Growth of the heap from the middle of a run to its end that is no leak, in megabytes. */
const ALLOWED = 30;

let warnings = 0;
process.on('warning', ({ name }) => (warnings += name === 'MaxListenersExceededWarning' ? 1 : 0));

const workos = await createTestWorkOS({ accessTokenLifetime: 86_400 });
const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
const site = await serve('express5', (app, own) => {
  app.use(authkit({ ...workos.options, redirectUri: `${own}/callback` }));
  app.route('/account', requireAuth(), (_req, res) => res.end('ok'));
});
const { origin } = site;

async function signIn(): Promise<void> {
  const login = await send(`${origin}/login`, { headers: NAVIGATION, agent });
  const cookie = login.setCookies.map((line) => line.split(';', 1)[0]).join('; ');
  const callback = await workos.authorize(login.location!);
  const { status } = await send(callback, { headers: { ...NAVIGATION, cookie }, agent });
  if (status !== 302) throw new Error(`the callback answers ${status}`);
}

const heap = () => {
  (globalThis as { gc?: () => void }).gc?.();
  // What the test WorkOS records is its own.
  (workos.calls as unknown[]).length = 0;
  return Math.round(process.memoryUsage().heapUsed / 1_048_576);
};

/** Runs `act` so many times, 50 at once, and returns the heap after each tenth, in megabytes. */
async function measure(name: string, times: number, act: () => Promise<void>): Promise<number> {
  const sizes: number[] = [];
  const started = Date.now();
  for (let sample = 0; sample < SAMPLES; sample += 1) {
    let left = Math.ceil(times / SAMPLES);
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        while (left-- > 0) await act();
      }),
    );
    sizes.push(heap());
  }
  const growth = sizes.at(-1)! - sizes[SAMPLES / 2 - 1]!;
  const seconds = Math.round((Date.now() - started) / 1000);
  console.log(`${name}: ${times} in ${seconds} s, heap ${sizes.join(' ')} MB, second half ${growth} MB`);
  return growth;
}

const cookie = await workos.signIn();
const growths = [
  await measure('guarded requests', REQUESTS, async () => {
    const { status } = await send(`${origin}/account`, { headers: { ...FETCH, cookie }, agent });
    if (status !== 200) throw new Error(`the guarded page answers ${status}`);
  }),
  await measure('sign-ins', SIGN_INS, signIn),
];
console.log(`listener warnings: ${warnings}`);
agent.destroy();
await site.close();
await workos.close();
process.exitCode = warnings === 0 && growths.every((growth) => growth <= ALLOWED) ? 0 : 1;
