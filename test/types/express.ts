import express, { type Request } from 'express';
import {
  authkit,
  protectedResource,
  requireAuth,
  signedIn,
  type ApiKeyAuth,
  type Auth,
  type BearerAuth,
  type Check,
  type GuardRule,
  type MachineAuth,
  type SessionAuth,
  type SignedIn,
  type SSOAuth,
} from 'authkit-express';

// ../types.test.ts compiles this file with the types of Express 4 and 5, and with those of passport and
// express-session. It is never run.

const app = express();
const auth = authkit();
app.use(auth);
app.use('/prefix', auth, auth.session);
app.all('/bare', requireAuth, (_req, res) => {
  res.end();
});

app.get('/account', requireAuth(), (req, res) => {
  const person: SignedIn = signedIn(req);
  const email: string = person.user.email;
  const maybe: string | undefined = req.user?.email;
  // @ts-expect-error -- nobody may be signed in
  res.send(req.user.email);
  // @ts-expect-error -- nobody may be signed in
  res.send(req.auth.user.email);
  // @ts-expect-error -- nobody is told by what
  res.send(req.auth.accessToken);
  // @ts-expect-error -- the session is read-only
  person.user.email = 'other@example.com';
  // @ts-expect-error -- and so are its lists
  person.permissions.push('billing:write');
  // @ts-expect-error -- no such thing
  res.send(person.emial);
  res.json({ email, maybe, role: person.role, may: person.has({ permission: 'billing:read' }) });
});

function narrowed({ auth: who }: Request): string {
  switch (who.type) {
    case null: {
      const { user, loginUrl, reason }: { user: null; loginUrl: string; reason: string } = who;
      // @ts-expect-error -- signed out
      who.sessionId;
      return loginUrl + reason + String(user);
    }
    case 'session':
      return ((one: SessionAuth) => one.sessionId + one.user.email)(who);
    case 'sso': {
      // @ts-expect-error -- the SSO API issues no access token
      who.accessToken;
      // @ts-expect-error -- and no claims
      who.claims;
      return ((one: SSOAuth) => one.profile.connectionId + one.user.email)(who);
    }
    case 'bearer':
      return ((one: BearerAuth) => one.user.email + one.scopes.join())(who);
    case 'apiKey':
      return ((one: ApiKeyAuth) => one.apiKey.id + String(one.user satisfies null))(who);
    case 'machine':
      return ((one: MachineAuth) => one.clientId + String(one.user satisfies null))(who);
  }
}
app.use((req, res) => {
  res.send(narrowed(req));
});
/** `user` also narrows the type, because only a person has one. */
export const byUser = (who: Auth): SignedIn | undefined => (who.user ? who : undefined);

requireAuth({ role: 'admin', permission: ['a', 'b'], entitlement: { any: ['c'] }, featureFlag: 'd' });
requireAuth({ organization: true, maxAge: 300, impersonation: false, sameOrigin: true });
requireAuth({ organization: (req) => req.url, sameOrigin: ['https://admin.example.com'] });
requireAuth({ unauthenticated: 'respond' });
requireAuth({ unauthenticated: (_req, res) => res.writeHead(401).end() });
requireAuth((who) => who.user.email.endsWith('@example.com'));
requireAuth((who) => who.type === 'session' && who.sessionId !== '');
// @ts-expect-error -- a guard of sessions accepts SSO sessions, which have no claims
requireAuth((who) => who.claims['plan'] === 'pro');
requireAuth(async (who, req) => Promise.resolve(who.has({ role: 'admin' }) && req.url !== undefined));
requireAuth({ accepts: ['session', 'bearer'], check: ({ user }) => user.emailVerified });
requireAuth({ accepts: ['apiKey'], check: ({ apiKey }) => apiKey.name !== 'old' });
requireAuth({ accepts: ['bearer', 'apiKey'], check: (who) => who.user?.emailVerified ?? true });

// @ts-expect-error -- misspelt
requireAuth({ permision: 'billing:read' });
// @ts-expect-error -- misspelt within
requireAuth({ role: { all: ['admin'] } });
// @ts-expect-error -- no value
requireAuth({ role: true });
// @ts-expect-error -- seconds are a number
requireAuth({ maxAge: '5m' });
// @ts-expect-error -- machines come to a protected resource only
requireAuth({ accepts: ['machine'] });
// @ts-expect-error -- no such credential
requireAuth({ accepts: ['cookie'] });
// @ts-expect-error -- no such answer
requireAuth({ unauthenticated: 'ignore' });
// @ts-expect-error -- a key is no person
requireAuth({ accepts: ['apiKey'], check: ({ user }) => user.emailVerified });
// @ts-expect-error -- neither is whoever might be one
requireAuth({ accepts: ['bearer', 'apiKey'], check: ({ user }) => user.emailVerified });
// @ts-expect-error -- a predicate says true or false
requireAuth(() => 'yes');
// @ts-expect-error -- misspelt in a handler
export const misspelt = (req: Request) => req.auth.has({ rle: 'admin' });

export const rule: GuardRule = { role: 'admin', check: (who) => who.data !== undefined };
export const check: Check<'bearer'> = (who) => who.scopes.includes('openid');
// @ts-expect-error -- a rule says what it accepts in its type
export const loose: GuardRule = { accepts: ['bearer'] };

const mcp = protectedResource({
  resource: 'https://a.example/mcp',
  authorizationServers: ['https://b.example'],
});
app.use(mcp);
app.post(
  '/mcp',
  mcp.requireAuth(),
  mcp.requireAuth({ accepts: ['machine'], check: (who) => who.clientId !== '' }),
);
// @ts-expect-error -- no cookie counts there
mcp.requireAuth({ accepts: ['session'] });
// @ts-expect-error -- where do tokens come from?
protectedResource({ resource: 'https://a.example/mcp' });

app.post('/switch', requireAuth(), async (req, res) => {
  const switched: SessionAuth | undefined = await auth.switchToOrganization(req, res, 'org_1');
  const recent: boolean = auth.isRecent(req, 60);
  if (switched) res.json({ organization: switched.organizationId, recent });
});
