import { authkit, protectedResource, sso } from 'authkit-express';
import { createTestWorkOS } from 'authkit-express/testing';

// Linted by ../types.test.ts with the rule unbound-method: none of these uses `this`.

export const {
  authenticate,
  getSignInUrl,
  getSignUpUrl,
  handleCallback,
  isRecent,
  listSessions,
  refreshSession,
  requireAuth: guard,
  revokeSession,
  revokeUserSessions,
  saveSession,
  session,
  signOut,
  switchToOrganization,
  webhooks,
} = authkit();
export const { getSignInUrl: ssoUrl, signOut: ssoSignOut, authenticate: ssoAuthenticate } = sso();
export const { requireAuth: bearer } = protectedResource({
  resource: 'https://a.example',
  authorizationServers: ['https://b.example'],
});
export async function inTests() {
  const { signIn, authorize, clock, fail, recover, webhook, users, close } = await createTestWorkOS();
  const { advance, now } = clock;
  return [signIn, authorize, fail, recover, webhook, users, close, advance, now];
}

export class Counter {
  count = 0;
  add() {
    this.count += 1;
  }
}
// The one that uses `this`, which shows that the rule is at work.
export const { add: unbound } = new Counter();
