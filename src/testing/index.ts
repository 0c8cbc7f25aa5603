import type { TestSignIn } from './sign-in.js';
import { type TestWorkOS, createTestWorkOS } from './test-workos.js';
export type { TestApiKey } from './endpoints/api-keys.js';
export type { Operation } from './endpoints/http.js';
export type { TestOAuthToken } from './endpoints/oauth.js';
export type { RequiredStep, StepCode } from './endpoints/required-steps.js';
export type { TestIdPStart } from './endpoints/sso.js';
export type { Fault, RecordedCall, TestClock } from './faults.js';
export type { TestSignIn, TestVisit } from './sign-in.js';
export type {
  TestConnection,
  TestInvitation,
  TestMembership,
  TestOrganization,
  TestUser,
} from './state/directory.js';
export { createTestWorkOS } from './test-workos.js';
export type { TestAuthKitOptions, TestWorkOS, TestWorkOSOptions } from './test-workos.js';
export type { TestWebhook, TestWebhookOptions } from './webhooks.js';

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
