/**
 * The test WorkOS, a fake WorkOS that runs in the test process. This module also contains `testStore`, which checks a
 * custom store.
 *
 * @module authkit-express/testing
 */
import type { TestSignIn } from './sign-in-helper.js';
import { createTestWorkOS, type TestWorkOS } from './create-test-workos.js';

export { createTestWorkOS } from './create-test-workos.js';
export type { TestAuthKitOptions, TestWorkOS, TestWorkOSOptions } from './create-test-workos.js';
export type { TestApiKey } from './endpoints/api-keys.js';
export type { TestClock } from './clock.js';
export type { Operation } from './endpoints/request-and-response.js';
export type { TestInvitation } from './endpoints/invitations.js';
export type { TestOAuthToken } from './endpoints/oauth.js';
export type { RequiredStep, StepCode } from './endpoints/required-sign-in-steps.js';
export type { TestIdPStart } from './endpoints/sso.js';
export type { Fault, RecordedCall, TestEndpoint } from './faults.js';
export { testStore, type TestStoreOptions } from './store-conformance.js';
export type { TestSignIn, TestAuthorization } from './sign-in-helper.js';
export type {
  MembershipStatus,
  TestConnection,
  TestMembership,
  TestOrganization,
  TestUser,
} from './state/users-and-organizations.js';
export type { TestWebhook, TestWebhookOptions } from './webhooks.js';

let shared: Promise<TestWorkOS> | undefined;

/**
 * Returns the test WorkOS that all code in this process shares. It has the default users, and its server does not keep
 * the process running.
 */
export function defaultTestWorkOS(): Promise<TestWorkOS> {
  return (shared ??= createTestWorkOS({ keepsProcess: false }));
}

/**
 * Signs a user in to the test WorkOS that {@link defaultTestWorkOS} returns. Returns the value of the `Cookie` header
 * for requests to the application.
 *
 * @example
 * app.use(authkit({ ...(await defaultTestWorkOS()).options }));
 * await request(app).get('/billing').set('Cookie', await signIn({ permissions: ['billing:read'] }));
 */
export async function signIn(options?: TestSignIn): Promise<string> {
  return (await defaultTestWorkOS()).signIn(options);
}
