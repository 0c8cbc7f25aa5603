import { expect, test } from 'vitest';
import { createTestApp } from '../support/app.js';

test('getSignInUrl and getSignUpUrl without the request say how to call them', async () => {
  const { auth } = await createTestApp('express5');
  const misuse = auth as unknown as Record<
    'getSignInUrl' | 'getSignUpUrl',
    (...args: unknown[]) => Promise<string>
  >;
  for (const args of [[], [{ returnTo: '/checkout' }], [undefined, undefined, {}], [null, 'x']]) {
    await expect(misuse.getSignInUrl(...args)).rejects.toThrow(/getSignInUrl\(req, res, options\)/);
    await expect(misuse.getSignUpUrl(...args)).rejects.toThrow(/getSignUpUrl\(req, res, options\)/);
  }
});
