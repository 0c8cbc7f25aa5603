import type { TestSignIn } from './sign-in.js';
import { createTestWorkOS, type TestWorkOS } from './workos.js';

let shared: Promise<TestWorkOS> | undefined;

/** A test WorkOS that this process shares, with the default people. It keeps no process alive. */
export function defaultTestWorkOS(): Promise<TestWorkOS> {
  return (shared ??= createTestWorkOS({ keepsProcess: false }));
}

/**
 * A `Cookie` header of somebody who is signed in at {@link defaultTestWorkOS}.
 *
 * @example
 * app.use(authkit({ ...(await defaultTestWorkOS()).options }));
 * await request(app).get('/billing').set('Cookie', await signIn({ permissions: ['billing:read'] }));
 */
export async function signIn(options?: TestSignIn): Promise<string> {
  return (await defaultTestWorkOS()).signIn(options);
}
