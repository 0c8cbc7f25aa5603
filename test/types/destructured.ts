import { authkit, protectedResource, sso } from 'authkit-express';
import { createTestWorkOS } from 'authkit-express/testing';

// ../types.test.ts lints this file with the rule unbound-method: none of these functions uses `this`.

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
// This one does use `this`, which shows that the rule is enabled.
export const { add: unbound } = new Counter();
