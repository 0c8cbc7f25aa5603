import { expect, test } from 'vitest';
import { createTestApp } from '../support/app.js';
import { FETCH, send } from '../support/browser.js';
import { mapStore } from '../support/map-store.js';

/** Checks what docs/cluster.md says about a store that drops entries before they expire. */
test('a revocation that the store has evicted holds only in the process that made it; a session in the store ends', async () => {
  for (const session of ['cookie', 'store'] as const) {
    const entries = new Map<string, string>();
    const one = await createTestApp('express5', { authkit: { store: mapStore(entries), session } });
    const two = await one.sibling();
    await one.signIn();
    const cookie = await one.browser.jar.getCookieString(one.origin);
    const statusAt = async ({ origin }: { origin: string }) =>
      (await send(`${origin}/account`, { headers: { ...FETCH, cookie } })).status;
    expect(await statusAt(one)).toBe(200);
    const { sessionId } = JSON.parse(
      (await send(`${one.origin}/account`, { headers: { ...FETCH, cookie } })).body,
    ) as { sessionId: string };
    await one.auth.revokeSession(sessionId);
    expect(await statusAt(one)).toBe(401);
    entries.clear();
    expect(await statusAt(one)).toBe(401);
    expect(await statusAt(two)).toBe(session === 'cookie' ? 200 : 401);
    one.workos.clock.advance(301_000);
    expect(await statusAt(two)).toBe(401);
  }
});
