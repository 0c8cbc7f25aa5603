import { describe, expect, test } from 'vitest';
import { createTestApp, type Application, type Options } from '../support/app.js';
import { FETCH, send } from '../support/browser.js';
import { mapStore } from '../support/map-store.js';

const OLD = 'an-older-password-of-this-application';
const NEW = 'the-newer-password-of-this-application';
const store = mapStore();

/** Deployments in the order that docs/production.md and docs/cluster.md describe, with the options of each one. */
const DEPLOYMENTS: Readonly<Record<string, readonly Options[]>> = {
  'a new password': [
    { cookiePassword: OLD },
    { cookiePassword: [OLD, NEW] },
    { cookiePassword: [NEW, OLD] },
    { cookiePassword: NEW },
  ],
  'sessions in the store': [
    {},
    { store, session: 'cookie' },
    { store, session: 'store' },
    { store, session: 'cookie' },
  ],
};

describe.each(Object.entries(DEPLOYMENTS))('rolling deploys of %s', (_name, deployments) => {
  const first = async () => {
    const app = await createTestApp('express5', {
      authkit: deployments[0]!,
      workos: { cookiePassword: OLD },
    });
    const start = (options: Options) => app.sibling(options);
    /** Sends one request. Returns the cookie that the browser has afterwards, or the status. */
    const ask = async ({ origin }: Application, cookie: string) => {
      const reply = await send(`${origin}/account`, { headers: { ...FETCH, cookie } });
      const set = reply.setCookies.find((line) => line.startsWith('wos-session='))?.split(';', 1)[0];
      return { status: reply.status, cookie: set ?? cookie };
    };
    return { ...app, start, ask };
  };

  test('in the right order, old and new processes side by side sign no user out', async () => {
    const { cookie: signIn, start, ask, workos } = await first();
    let cookie = await signIn();
    let before = await start(deployments[0]!);
    for (const options of deployments.slice(1)) {
      const after = await start(options);
      // The user's requests reach processes of both deployments, and each process refreshes the session.
      for (const process of [before, after, before, after]) {
        workos.clock.advance(301_000);
        const answer = await ask(process, cookie);
        expect(answer.status).toBe(200);
        cookie = answer.cookie;
      }
      before = after;
    }
  });

  test('without the deployment in between, the old processes do not accept what the new ones write', async () => {
    const { cookie: signIn, start, ask, workos } = await first();
    const [old, fresh] = [await start(deployments[0]!), await start(deployments[2]!)];
    let cookie = await signIn();
    workos.clock.advance(301_000);
    const answer = await ask(fresh, cookie);
    expect(answer.status).toBe(200);
    cookie = answer.cookie;
    expect((await ask(old, cookie)).status).toBe(401);
    // The cookie is kept, so the new processes still accept it.
    expect((await ask(fresh, cookie)).status).toBe(200);
  });
});
