import { expect, test } from 'vitest';

// Imported inside the test, because guards are created when the package loads.
test('a guard accepts a session by default, and other credentials if its rule names them', async () => {
  const { requireAuth } = await import('authkit-express');
  expect(requireAuth()).toBeTypeOf('function');
  expect(requireAuth({ sameOrigin: true })).toBeTypeOf('function');
  expect(() => requireAuth({ accepts: ['machine'] as never })).toThrow(
    'rule "accepts" must be a list of session, bearer, apiKey',
  );
  for (const one of ['session', 'bearer', 'apiKey'] as const)
    expect(requireAuth({ accepts: [one] })).toBeTypeOf('function');
});
