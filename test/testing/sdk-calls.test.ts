import { WorkOS } from '@workos-inc/node';
import { decodeJwt } from 'jose';
import { describe, expect, test } from 'vitest';
import type { TestWorkOS } from '../../src/testing/index.js';
import { responseProblems } from '../support/openapi.js';
import { authorizationUrl, matching, REDIRECT_URI, refresh, start, TEXT } from './application.js';

// Every `@workos-inc/node` call that an Express application makes. Each one either works, in WorkOS's own format, or
// returns a 501 that explains how to stub it.

const ORGANIZATION = 'org_engines';
const CONNECTION = 'conn_engines';
const PASSWORD = 'difference-engine';

const SEED = {
  organizations: [
    {
      id: ORGANIZATION,
      name: 'Analytical Engines',
      externalId: 'engines',
      domains: ['engines.example'],
      connections: [{ id: CONNECTION, type: 'OktaSAML' }],
    },
    { id: 'org_looms', name: 'Looms' },
  ],
  users: [
    {
      id: 'user_ada',
      email: 'ada@example.com',
      firstName: 'Ada',
      lastName: 'Lovelace',
      externalId: 'ext_1',
      password: PASSWORD,
      metadata: { plan: 'gold', team: 'x' },
      memberships: [{ organizationId: ORGANIZATION, role: 'admin', permissions: ['billing:read'] }],
    },
    {
      id: 'user_grace',
      email: 'grace@example.com',
      firstName: 'Grace',
      memberships: [
        { organizationId: ORGANIZATION },
        { organizationId: 'org_looms', status: 'inactive' as const },
      ],
    },
    { id: 'user_alan', email: 'alan@example.com' },
  ],
};

interface Called {
  workos: TestWorkOS;
  sdk: WorkOS;
  um: WorkOS['userManagement'];
  /** Violations of WorkOS's API description in the responses so far. */
  problems: string[];
  membership: (userId: string, organizationId?: string) => Promise<string>;
}

async function connect(): Promise<Called> {
  const workos = await start(SEED);
  const { apiKey, clientId, apiHostname, apiPort: port, apiHttps: https } = workos.options;
  const problems: string[] = [];
  const fetchFn: typeof fetch = async (input, init) => {
    const response = await fetch(input, init);
    const url = new URL(input instanceof Request ? input.url : input);
    const text = await response.clone().text();
    const body: unknown = text === '' ? undefined : JSON.parse(text);
    const isRefused = response.status === 401 || response.status === 501;
    if (!isRefused && !isNewer(url.pathname, body))
      problems.push(
        ...responseProblems({ method: init?.method ?? 'GET', path: url.pathname }, response.status, body),
      );
    return response;
  };
  const sdk = new WorkOS({ apiKey, clientId, apiHostname, port, https, fetchFn, maxRetries: 0 });
  const um = sdk.userManagement;
  const membership = async (userId: string, organizationId = ORGANIZATION) => {
    const statuses = ['active' as const, 'inactive' as const, 'pending' as const];
    const { data } = await um.listOrganizationMemberships({ userId, organizationId, statuses });
    return data[0]!.id;
  };
  return { workos, sdk, um, problems, membership };
}

/** Whether the SDK already knows something that the description does not. */
function isNewer(path: string, body: unknown): boolean {
  const { code } = (body ?? {}) as { code?: unknown };
  return path === '/user_management/authenticate' && String(code).startsWith('radar_');
}

/** The error of a promise that must reject. */
async function failure(promise: Promise<unknown>): Promise<unknown> {
  const outcome = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (outcome === undefined) throw new Error('the call should have failed');
  return outcome;
}

type Row = [call: string, run: (at: Called) => Promise<void>];

const USERS: Row[] = [
  [
    'um.getUser',
    async ({ um, workos }) => {
      expect(await um.getUser('user_ada')).toEqual(workos.users()[0]);
      expect(await failure(um.getUser('user_nobody'))).toMatchObject({
        status: 404,
        code: 'entity_not_found',
      });
      // An id is not an email address.
      expect(await failure(um.getUser('ada@example.com'))).toMatchObject({ status: 404 });
    },
  ],
  [
    'um.getUserByExternalId',
    async ({ um }) => {
      expect(await um.getUserByExternalId('ext_1')).toMatchObject({ id: 'user_ada' });
      expect(await failure(um.getUserByExternalId('ext_2'))).toMatchObject({ status: 404 });
    },
  ],
  [
    'um.listUsers',
    async ({ um }) => {
      const ids = async (options: Parameters<typeof um.listUsers>[0]) =>
        (await um.listUsers(options)).data.map(({ id }) => id);
      expect(await ids({})).toEqual(['user_alan', 'user_grace', 'user_ada']);
      expect(await ids({ order: 'asc' })).toEqual(['user_ada', 'user_grace', 'user_alan']);
      expect(await ids({ email: 'ADA@example.com' })).toEqual(['user_ada']);
      // Inactive memberships do not count.
      expect(await ids({ organizationId: 'org_looms' })).toEqual([]);
      expect(await ids({ organizationId: ORGANIZATION })).toEqual(['user_grace', 'user_ada']);
    },
  ],
  [
    'um.listUsers in pages',
    async ({ um }) => {
      const first = await um.listUsers({ limit: 2 });
      expect(first.data.map(({ id }) => id)).toEqual(['user_alan', 'user_grace']);
      expect(first.listMetadata).toEqual({ before: null, after: 'user_grace' });
      const second = await um.listUsers({ limit: 2, after: 'user_grace' });
      expect(second.data.map(({ id }) => id)).toEqual(['user_ada']);
      expect(second.listMetadata).toEqual({ before: 'user_ada', after: null });
      const back = await um.listUsers({ limit: 1, before: 'user_ada' });
      expect(back.data.map(({ id }) => id)).toEqual(['user_grace']);
      expect(await (await um.listUsers()).autoPagination()).toHaveLength(3);
      for (const limit of [0, 101])
        expect(await failure(um.listUsers({ limit }))).toMatchObject({ status: 422 });
    },
  ],
  [
    'um.createUser',
    async ({ um, workos }) => {
      const made = await um.createUser({
        email: 'mary@example.com',
        firstName: 'Mary',
        externalId: 'ext_2',
        metadata: { team: 'y' },
      });
      expect(made).toMatchObject({ email: 'mary@example.com', emailVerified: false, name: 'Mary' });
      expect(made).toMatchObject({ externalId: 'ext_2', metadata: { team: 'y' }, lastName: null });
      expect(await um.getUser(made.id)).toEqual(made);
      expect(workos.users().at(-1)).toEqual(made);
      expect(decodeJwt(await workos.accessToken({ user: 'mary@example.com' })).sub).toBe(made.id);
      const again = failure(um.createUser({ email: 'MARY@example.com' }));
      expect(await again).toMatchObject({ status: 400, code: 'user_creation_error' });
      expect(await failure(um.createUser({ email: '' }))).toMatchObject({ status: 422 });
      const weak = failure(um.createUser({ email: 'x@example.com', password: 'short' }));
      expect(await weak).toMatchObject({ status: 400, code: 'password_strength_error' });
    },
  ],
  [
    'um.updateUser of each field',
    async ({ um }) => {
      const changes = {
        firstName: 'Augusta',
        lastName: 'King',
        email: 'augusta@example.com',
        emailVerified: false,
        externalId: 'ext_9',
        locale: 'en-GB',
      };
      for (const [name, value] of Object.entries(changes)) {
        expect(await um.updateUser({ userId: 'user_ada', [name]: value })).toHaveProperty(name, value);
      }
      expect(await um.getUser('user_ada')).toMatchObject({ ...changes, name: 'Augusta King' });
      const emptied = await um.updateUser({
        userId: 'user_ada',
        ...({ externalId: null, locale: null } as object),
      });
      expect(emptied).toMatchObject({ externalId: null, locale: null, firstName: 'Augusta' });
    },
  ],
  [
    'um.updateUser of metadata',
    async ({ um }) => {
      const set = (metadata: Record<string, string | null>) =>
        um.updateUser({ userId: 'user_ada', metadata });
      expect((await set({ plan: null, color: 'red' })).metadata).toEqual({ team: 'x', color: 'red' });
      expect((await um.updateUser({ userId: 'user_ada', firstName: 'A' })).metadata).toEqual({
        team: 'x',
        color: 'red',
      });
      const wrong = failure(set({ plan: 1 as unknown as string }));
      expect(await wrong).toMatchObject({ status: 400, rawData: { code: 'invalid_metadata' } });
    },
  ],
  [
    'um.updateUser with what another user has',
    async ({ um }) => {
      const taken = { email: 'email_not_available', externalId: 'external_id_already_used' };
      for (const [name, code] of Object.entries(taken)) {
        const value = name === 'email' ? 'Ada@example.com' : 'ext_1';
        const error = await failure(um.updateUser({ userId: 'user_grace', [name]: value }));
        expect(error).toMatchObject({ status: 400, rawData: { code } });
      }
    },
  ],
  [
    'um.deleteUser',
    async ({ um, workos }) => {
      const session = await signInWithPassword({ um });
      await um.deleteUser('user_ada');
      expect(await failure(um.getUser('user_ada'))).toMatchObject({ status: 404 });
      expect((await refresh(workos, session.refreshToken)).body['error']).toBe('invalid_grant');
      const { data } = await um.listOrganizationMemberships({ organizationId: ORGANIZATION });
      expect(data.map(({ userId }) => userId)).toEqual(['user_grace']);
      expect(await failure(um.deleteUser('user_ada'))).toMatchObject({ status: 404 });
      // A new user with the same id does not inherit anything.
      workos.putUser({ id: 'user_ada', email: 'ada@example.com' });
      expect(await failure(signInWithPassword({ um }))).toMatchObject({ status: 400 });
    },
  ],
  [
    'um.listSessions and um.revokeSession',
    async ({ um, workos }) => {
      await workos.signIn({ user: 'user_ada', userAgent: 'Safari' });
      await workos.authorize(authorizationUrl(workos), { user: 'user_ada', userAgent: 'Firefox' });
      await signInByPage({ workos, um, userAgent: 'Firefox' });
      const list = async () => (await um.listSessions('user_ada')).data;
      const [newest, oldest] = await list();
      expect(newest).toMatchObject({ userAgent: 'Firefox', status: 'active', authMethod: 'password' });
      expect(oldest).toMatchObject({ userAgent: 'Safari', organizationId: ORGANIZATION });
      await um.revokeSession({ sessionId: newest!.id });
      expect(await list()).toEqual([oldest]);
      expect(await failure(um.listSessions('user_nobody'))).toMatchObject({ status: 404 });
    },
  ],
];

function signInWithPassword({ um }: Pick<Called, 'um'>) {
  return um.authenticateWithPassword({ email: 'ada@example.com', password: PASSWORD });
}

async function signInByPage({
  workos,
  um,
  userAgent,
}: Pick<Called, 'workos' | 'um'> & { userAgent: string }) {
  const { url, codeVerifier } = await um.getAuthorizationUrlWithPKCE({
    provider: 'authkit',
    redirectUri: REDIRECT_URI,
  });
  const callback = new URL(await workos.authorize(url, { user: 'user_ada', userAgent }));
  return um.authenticateWithCode({ code: callback.searchParams.get('code')!, codeVerifier });
}

const GRANTS: Row[] = [
  [
    'um.authenticateWithPassword',
    async ({ um, workos }) => {
      const session = await signInWithPassword({ um });
      expect(session).toMatchObject({
        user: { id: 'user_ada' },
        organizationId: ORGANIZATION,
        authenticationMethod: 'Password',
      });
      expect(decodeJwt(session.accessToken)).toMatchObject({ role: 'admin', permissions: ['billing:read'] });
      expect(session.user.lastSignInAt).not.toBeNull();
      expect((await refresh(workos, session.refreshToken)).status).toBe(200);
      const wrong = (email: string, password: string) =>
        failure(um.authenticateWithPassword({ email, password }));
      for (const error of [
        await wrong('ada@example.com', 'wrong-password'),
        await wrong('nobody@example.com', PASSWORD),
        await wrong('grace@example.com', ''),
      ])
        expect(error).toMatchObject({ status: 400, rawData: { code: 'invalid_credentials' } });
    },
  ],
  [
    'um.createPasswordReset and um.resetPassword',
    async ({ um }) => {
      const { passwordResetToken: token, id } = await um.createPasswordReset({ email: 'ada@example.com' });
      expect(await um.getPasswordReset(id)).toMatchObject({ userId: 'user_ada' });
      await um.resetPassword({ token, newPassword: 'analytical-engine' });
      expect(await failure(signInWithPassword({ um }))).toMatchObject({ status: 400 });
      const email = 'ada@example.com';
      await um.authenticateWithPassword({ email, password: 'analytical-engine' });
      const again = failure(um.resetPassword({ token, newPassword: 'analytical-engine' }));
      expect(await again).toMatchObject({ status: 404 });
      expect(await failure(um.createPasswordReset({ email: 'who@example.com' }))).toMatchObject({
        status: 404,
      });
    },
  ],
  [
    'um.createMagicAuth and um.authenticateWithMagicAuth',
    async ({ um, workos }) => {
      const email = 'new@example.com';
      const { code, id } = await um.createMagicAuth({ email });
      expect(code).toMatch(/^\d{6}$/);
      expect(workos.emailCode(email)).toBe(code);
      expect(await um.getMagicAuth(id)).toMatchObject({ code, email });
      const session = await um.authenticateWithMagicAuth({ email, code });
      expect(session).toMatchObject({
        authenticationMethod: 'MagicAuth',
        user: { email, emailVerified: true },
      });
      const again = failure(um.authenticateWithMagicAuth({ email, code }));
      expect(await again).toMatchObject({ rawData: { code: 'one_time_code_previously_used' } });
      const wrong = failure(um.authenticateWithMagicAuth({ email, code: 'abcdef' }));
      expect(await wrong).toMatchObject({ rawData: { code: 'invalid_one_time_code' } });
    },
  ],
  [
    'um.authenticateWithMagicAuth with a code that has expired',
    async ({ um, workos }) => {
      const email = 'ada@example.com';
      const { code } = await um.createMagicAuth({ email });
      workos.clock.advance(601_000);
      const late = failure(um.authenticateWithMagicAuth({ email, code }));
      expect(await late).toMatchObject({ status: 400, rawData: { code: 'one_time_code_expired' } });
    },
  ],
  [
    'um.authenticateWithEmailVerification',
    async ({ um, workos }) => {
      const email = 'mary@example.com';
      await um.createUser({ email, password: PASSWORD });
      const error = await failure(um.authenticateWithPassword({ email, password: PASSWORD }));
      expect(error).toMatchObject({ status: 403, code: 'email_verification_required' });
      const { pendingAuthenticationToken, rawData } = error as PendingError;
      const { code } = await um.getEmailVerification(rawData.email_verification_id);
      expect(code).toBe(workos.emailCode(email));
      const wrong = failure(um.authenticateWithEmailVerification({ code: '', pendingAuthenticationToken }));
      expect(await wrong).toMatchObject({ status: 400 });
      const session = await um.authenticateWithEmailVerification({ code, pendingAuthenticationToken });
      expect(session.user).toMatchObject({ email, emailVerified: true });
      const again = failure(um.authenticateWithEmailVerification({ code, pendingAuthenticationToken }));
      expect(await again).toMatchObject({ rawData: { code: 'invalid_pending_authentication_token' } });
    },
  ],
  [
    'um.sendVerificationEmail and um.verifyEmail',
    async ({ um, workos }) => {
      const { id: userId } = await um.createUser({ email: 'mary@example.com' });
      await um.sendVerificationEmail({ userId });
      expect(await failure(um.verifyEmail({ userId, code: 'abc' }))).toMatchObject({ status: 400 });
      const { user } = await um.verifyEmail({ userId, code: workos.emailCode(userId) });
      expect(user.emailVerified).toBe(true);
      expect(await failure(um.sendVerificationEmail({ userId }))).toMatchObject({ status: 400 });
    },
  ],
  [
    'mfa.enrollFactor, mfa.listUserAuthFactors and um.authenticateWithTotp',
    async ({ um, sdk, workos }) => {
      const { multiFactorAuth: mfa } = sdk;
      const enrolled = await mfa.createUserAuthFactor({ userId: 'user_ada', type: 'totp' });
      const { id, totp } = enrolled.authenticationFactor;
      expect(totp).toMatchObject({
        secret: matching(/^[A-Z2-7]{32}$/),
        uri: matching(/^otpauth:\/\/totp\//),
      });
      expect((await mfa.listUserAuthFactors({ userId: 'user_ada' })).data.map((one) => one.id)).toEqual([id]);

      const error = await failure(signInWithPassword({ um }));
      expect(error).toMatchObject({ status: 403, code: 'mfa_challenge' });
      const { pendingAuthenticationToken, rawData } = error as PendingError;
      expect(rawData.authentication_factors).toEqual([{ id, type: 'totp' }]);
      const { id: authenticationChallengeId } = await mfa.challengeFactor({ authenticationFactorId: id });
      const pending = { pendingAuthenticationToken, authenticationChallengeId };
      const wrong = failure(um.authenticateWithTotp({ ...pending, code: 'abcdef' }));
      expect(await wrong).toMatchObject({ rawData: { code: 'invalid_one_time_code' } });
      const code = workos.totpCode('user_ada');
      const session = await um.authenticateWithTotp({ ...pending, code });
      expect(session).toMatchObject({ user: { id: 'user_ada' }, authenticationMethod: 'Password' });

      await mfa.deleteFactor(id);
      await signInWithPassword({ um });
    },
  ],
  [
    'um.authenticateWithOrganizationSelection',
    async ({ um, membership }) => {
      await um.createOrganizationMembership({ userId: 'user_ada', organizationId: 'org_looms' });
      const error = await failure(signInWithPassword({ um }));
      expect(error).toMatchObject({ status: 403, code: 'organization_selection_required' });
      const { pendingAuthenticationToken, rawData } = error as PendingError;
      expect(rawData.organizations).toEqual([
        { id: ORGANIZATION, name: 'Analytical Engines' },
        { id: 'org_looms', name: 'Looms' },
      ]);
      const choose = (organizationId: string) =>
        um.authenticateWithOrganizationSelection({ organizationId, pendingAuthenticationToken });
      expect(await failure(choose('org_none'))).toMatchObject({
        rawData: { code: 'invalid_organization_id' },
      });
      await um.deactivateOrganizationMembership(await membership('user_ada', ORGANIZATION));
      const left = failure(choose(ORGANIZATION));
      expect(await left).toMatchObject({ status: 400, error: 'organization_membership_not_found' });
      expect((await choose('org_looms')).organizationId).toBe('org_looms');
    },
  ],
  [
    'um.authenticateWithRadarEmailChallenge',
    async ({ um, workos }) => {
      workos.requireStep({ code: 'radar_email_challenge', user: 'user_ada' });
      const error = await failure(signInWithPassword({ um }));
      expect(error).toMatchObject({ status: 403, code: 'radar_email_challenge', radarChallengeId: TEXT });
      const { pendingAuthenticationToken, radarChallengeId } = error as PendingError;
      const code = workos.emailCode('user_ada');
      const session = await um.authenticateWithRadarEmailChallenge({
        code,
        radarChallengeId,
        pendingAuthenticationToken,
      });
      expect(session.user.id).toBe('user_ada');
    },
  ],
  [
    'um.getJwksUrl',
    async ({ um, problems }) => {
      const url = um.getJwksUrl('client_01TESTWORKOS');
      const response = await fetch(url);
      const keys: unknown = await response.json();
      problems.push(...responseProblems({ method: 'GET', path: new URL(url).pathname }, 200, keys));
    },
  ],
  [
    'um.getLogoutUrl',
    async ({ um, workos }) => {
      const session = await signInWithPassword({ um });
      const sessionId = decodeJwt(session.accessToken)['sid'] as string;
      const url = um.getLogoutUrl({ sessionId, returnTo: 'https://app.example/bye' });
      const response = await fetch(url, { redirect: 'manual' });
      expect(response.headers.get('location')).toBe('https://app.example/bye');
      expect((await refresh(workos, session.refreshToken)).body['error']).toBe('invalid_grant');
    },
  ],
];

interface PendingError {
  pendingAuthenticationToken: string;
  radarChallengeId: string;
  rawData: {
    email_verification_id: string;
    authentication_factors: { id: string; type: string }[];
    organizations: { id: string; name: string }[];
  };
}

const MEMBERSHIPS: Row[] = [
  [
    'um.listOrganizationMemberships',
    async ({ um }) => {
      const { data } = await um.listOrganizationMemberships({ userId: 'user_ada' });
      expect(data).toEqual([
        {
          object: 'organization_membership',
          id: matching(/^om_01/),
          userId: 'user_ada',
          organizationId: ORGANIZATION,
          organizationName: 'Analytical Engines',
          status: 'active',
          directoryManaged: false,
          createdAt: TEXT,
          updatedAt: TEXT,
          role: { slug: 'admin' },
          roles: [{ slug: 'admin' }],
          customAttributes: {},
        },
      ]);
      expect(await failure(um.listOrganizationMemberships({} as never))).toMatchObject({
        status: 400,
        rawData: { code: 'missing_user_id_or_organization_id' },
      });
    },
  ],
  [
    'um.listOrganizationMemberships with statuses and limit',
    async ({ um }) => {
      const list = async (options: object) =>
        (await um.listOrganizationMemberships({ userId: 'user_grace', ...options })).data.map(
          ({ organizationId }) => organizationId,
        );
      expect(await list({})).toEqual([ORGANIZATION]);
      expect(await list({ statuses: ['inactive'] })).toEqual(['org_looms']);
      expect(await list({ statuses: ['active', 'inactive'] })).toEqual(['org_looms', ORGANIZATION]);
      expect(await list({ statuses: ['active', 'inactive'], limit: 1 })).toEqual(['org_looms']);
      expect(await list({ organizationId: 'org_looms' })).toEqual([]);
    },
  ],
  [
    'um.getOrganizationMembership',
    async ({ um, membership }) => {
      const id = await membership('user_grace');
      expect(await um.getOrganizationMembership(id)).toMatchObject({ id, userId: 'user_grace' });
      expect(await failure(um.getOrganizationMembership('om_none'))).toMatchObject({ status: 404 });
    },
  ],
  [
    'um.createOrganizationMembership',
    async ({ um, workos }) => {
      const made = await um.createOrganizationMembership({
        userId: 'user_alan',
        organizationId: ORGANIZATION,
        roleSlug: 'admin',
      });
      expect(made).toMatchObject({ status: 'active', role: { slug: 'admin' } });
      // As at WorkOS, permissions depend on the role.
      expect(decodeJwt(await workos.accessToken({ user: 'user_alan' }))).toMatchObject({
        org_id: ORGANIZATION,
        permissions: ['billing:read'],
      });
      const again = { userId: 'user_alan', organizationId: ORGANIZATION };
      expect(await failure(um.createOrganizationMembership(again))).toMatchObject({ status: 422 });
      const nobody = { userId: 'user_nobody', organizationId: ORGANIZATION };
      expect(await failure(um.createOrganizationMembership(nobody))).toMatchObject({ status: 404 });
      const nowhere = { userId: 'user_alan', organizationId: 'org_none' };
      expect(await failure(um.createOrganizationMembership(nowhere))).toMatchObject({ status: 404 });
    },
  ],
  [
    'um.updateOrganizationMembership roleSlug and roleSlugs',
    async ({ um, workos, membership }) => {
      const id = await membership('user_grace');
      const promoted = await um.updateOrganizationMembership(id, { roleSlug: 'admin' });
      expect(promoted).toMatchObject({ id, role: { slug: 'admin' }, roles: [{ slug: 'admin' }] });
      const both = await um.updateOrganizationMembership(id, { roleSlugs: ['editor', 'viewer'] });
      expect(both).toMatchObject({
        role: { slug: 'editor' },
        roles: [{ slug: 'editor' }, { slug: 'viewer' }],
      });
      expect(decodeJwt(await workos.accessToken({ user: 'user_grace' }))).toMatchObject({
        role: 'editor',
        roles: ['editor', 'viewer'],
      });
      expect(await failure(um.updateOrganizationMembership(id, {}))).toMatchObject({ status: 422 });
      // The roles of an inactive membership can be changed without making it active.
      const inactive = await membership('user_grace', 'org_looms');
      expect(await um.updateOrganizationMembership(inactive, { roleSlug: 'admin' })).toMatchObject({
        status: 'inactive',
      });
    },
  ],
  [
    'um.deleteOrganizationMembership',
    async ({ um, workos, membership }) => {
      const session = await signInWithPassword({ um });
      await um.deleteOrganizationMembership(await membership('user_ada'));
      expect(await refresh(workos, session.refreshToken)).toMatchObject({
        status: 400,
        body: { error: 'organization_membership_not_found' },
      });
      expect((await signInWithPassword({ um })).organizationId).toBeUndefined();
    },
  ],
  [
    'um.deactivateOrganizationMembership and um.reactivateOrganizationMembership',
    async ({ um, workos, membership }) => {
      const session = await signInWithPassword({ um });
      const id = await membership('user_ada');
      expect(await um.deactivateOrganizationMembership(id)).toMatchObject({ status: 'inactive' });
      expect((await refresh(workos, session.refreshToken)).status).toBe(400);
      expect(await um.deactivateOrganizationMembership(id)).toMatchObject({ status: 'inactive' });
      expect(await um.reactivateOrganizationMembership(id)).toMatchObject({
        status: 'active',
        role: { slug: 'admin' },
      });
      expect((await refresh(workos, session.refreshToken)).status).toBe(200);
    },
  ],
];

const INVITATIONS: Row[] = [
  [
    'um.sendInvitation and um.acceptInvitation',
    async ({ um }) => {
      const sent = await um.sendInvitation({
        email: 'alan@example.com',
        organizationId: ORGANIZATION,
        roleSlug: 'editor',
        inviterUserId: 'user_ada',
      });
      expect(sent).toMatchObject({ state: 'pending', inviterUserId: 'user_ada', roleSlug: 'editor' });
      expect(await um.acceptInvitation(sent.id)).toMatchObject({
        state: 'accepted',
        acceptedAt: TEXT,
        acceptedUserId: 'user_alan',
      });
      const { data } = await um.listOrganizationMemberships({ userId: 'user_alan' });
      expect(data[0]).toMatchObject({ organizationId: ORGANIZATION, role: { slug: 'editor' } });
      expect(await failure(um.acceptInvitation(sent.id))).toMatchObject({
        rawData: { code: 'invite_not_pending' },
      });
    },
  ],
  [
    'um.sendInvitation that WorkOS refuses',
    async ({ um }) => {
      const send = (options: object) => failure(um.sendInvitation({ email: 'new@example.com', ...options }));
      expect(await send({ email: 'nobody' })).toMatchObject({ status: 422 });
      expect(await send({ organizationId: 'org_none' })).toMatchObject({ status: 404 });
      const codeOf = async (options: object) => ((await send(options)) as { code?: string }).code;
      expect(await codeOf({ email: 'ada@example.com' })).toBe('user_already_exists');
      const member = { email: 'ada@example.com', organizationId: ORGANIZATION };
      expect(await codeOf(member)).toBe('user_already_organization_member');
      expect(await codeOf({ expiresInDays: 31 })).toBe('expires_in_days_too_long');
      expect(await codeOf({ expiresInDays: 0 })).toBe('expires_in_days_too_short');
      await um.sendInvitation({ email: 'new@example.com' });
      expect(await codeOf({})).toBe('email_already_invited');
    },
  ],
  [
    'um.getInvitation, um.findInvitationByToken and um.listInvitations',
    async ({ um, workos }) => {
      const token = workos.invite({ email: 'new@example.com', organizationId: 'Looms' });
      const found = await um.findInvitationByToken(token);
      expect(found).toMatchObject({ email: 'new@example.com', organizationId: 'org_looms', token });
      expect(await um.getInvitation(found.id)).toEqual(found);
      expect((await um.listInvitations({ organizationId: 'org_looms' })).data).toEqual([found]);
      expect((await um.listInvitations({ organizationId: ORGANIZATION })).data).toEqual([]);
      expect((await um.listInvitations({ email: 'new@example.com' })).data).toEqual([found]);
      expect(await failure(um.findInvitationByToken('none'))).toMatchObject({ status: 404 });
      workos.clock.advance(8 * 86_400_000);
      expect(await um.getInvitation(found.id)).toMatchObject({ state: 'expired' });
    },
  ],
  [
    'um.revokeInvitation',
    async ({ um, workos }) => {
      const token = workos.invite({ email: 'new@example.com' });
      const { id } = await um.findInvitationByToken(token);
      expect(await um.revokeInvitation(id)).toMatchObject({ state: 'revoked', revokedAt: TEXT });
      expect(await failure(um.revokeInvitation(id))).toMatchObject({ status: 400 });
      const url = authorizationUrl(workos, { invitation_token: token });
      await expect(fetch(url, { redirect: 'manual' })).resolves.toMatchObject({ status: 302 });
    },
  ],
  [
    'um.authenticateWithPassword with an invitation',
    async ({ um, workos }) => {
      const email = 'ada@example.com';
      const invitationToken = workos.invite({ email, organizationId: 'Looms', role: 'editor' });
      const session = await um.authenticateWithPassword({ email, password: PASSWORD, invitationToken });
      expect(session.organizationId).toBe('org_looms');
      expect(decodeJwt(session.accessToken)['role']).toBe('editor');
      const used = failure(um.authenticateWithPassword({ email, password: PASSWORD, invitationToken }));
      expect(await used).toMatchObject({ status: 400, error: 'invitation_invalid' });
      const foreign = workos.invite({ email: 'new@example.com', organizationId: 'Looms' });
      const stolen = failure(
        um.authenticateWithPassword({ email, password: PASSWORD, invitationToken: foreign }),
      );
      expect(await stolen).toMatchObject({ error: 'invitation_cannot_be_used_for_email' });
    },
  ],
];

const ORGANIZATIONS: Row[] = [
  [
    'organizations.getOrganization and getOrganizationByExternalId',
    async ({ sdk: { organizations } }) => {
      const found = await organizations.getOrganization(ORGANIZATION);
      expect(found).toMatchObject({
        id: ORGANIZATION,
        name: 'Analytical Engines',
        externalId: 'engines',
        domains: [{ domain: 'engines.example', state: 'verified' }],
        metadata: {},
      });
      expect(await organizations.getOrganizationByExternalId('engines')).toEqual(found);
      expect(await failure(organizations.getOrganization('org_none'))).toMatchObject({ status: 404 });
    },
  ],
  [
    'organizations.listOrganizations',
    async ({ sdk: { organizations } }) => {
      const ids = async (options?: Parameters<typeof organizations.listOrganizations>[0]) =>
        (await organizations.listOrganizations(options)).data.map(({ id }) => id);
      expect(await ids()).toEqual(['org_looms', ORGANIZATION]);
      expect(await ids({ limit: 1 })).toEqual(['org_looms']);
      expect(await ids({ domains: ['engines.example'] })).toEqual([ORGANIZATION]);
    },
  ],
  [
    'organizations.createOrganization',
    async ({ sdk: { organizations }, um }) => {
      const made = await organizations.createOrganization({
        name: 'Bombes',
        externalId: 'bombes',
        metadata: { tier: '1' },
        domainData: [{ domain: 'bombes.example', state: 'pending' as never }],
      });
      expect(made).toMatchObject({ name: 'Bombes', externalId: 'bombes', metadata: { tier: '1' } });
      expect(made.domains).toMatchObject([{ domain: 'bombes.example', state: 'pending' }]);
      await um.createOrganizationMembership({ userId: 'user_alan', organizationId: made.id });
      const again = failure(organizations.createOrganization({ name: 'B', externalId: 'bombes' }));
      expect(await again).toMatchObject({ rawData: { code: 'external_id_already_used' } });
      expect(await failure(organizations.createOrganization({ name: '' }))).toMatchObject({ status: 422 });
    },
  ],
  [
    'organizations.updateOrganization',
    async ({ sdk: { organizations }, um }) => {
      const organization = ORGANIZATION;
      const changed = await organizations.updateOrganization({
        organization,
        name: 'Difference Engines',
        externalId: null,
        metadata: { tier: '2' },
      });
      expect(changed).toMatchObject({
        name: 'Difference Engines',
        externalId: null,
        metadata: { tier: '2' },
      });
      expect(changed.domains).toHaveLength(1);
      const { data } = await um.listOrganizationMemberships({ userId: 'user_ada' });
      expect(data[0]!.organizationName).toBe('Difference Engines');
    },
  ],
  [
    'organizations.deleteOrganization',
    async ({ sdk: { organizations }, um, workos }) => {
      const session = await signInWithPassword({ um });
      await organizations.deleteOrganization(ORGANIZATION);
      expect(await failure(organizations.getOrganization(ORGANIZATION))).toMatchObject({ status: 404 });
      expect((await um.listOrganizationMemberships({ userId: 'user_ada' })).data).toEqual([]);
      expect((await refresh(workos, session.refreshToken)).status).toBe(400);
    },
  ],
];

const KEYS_AND_SSO: Row[] = [
  [
    'apiKeys.createOrganizationApiKey, listOrganizationApiKeys and deleteApiKey',
    async ({ sdk: { apiKeys } }) => {
      const made = await apiKeys.createOrganizationApiKey({
        organizationId: ORGANIZATION,
        name: 'CI',
        permissions: ['deploy'],
      });
      expect(made).toMatchObject({ value: matching(/^sk_/), name: 'CI', permissions: ['deploy'] });
      const listed = await apiKeys.listOrganizationApiKeys({ organizationId: ORGANIZATION });
      expect(listed.data).toMatchObject([{ id: made.id, owner: { type: 'organization', id: ORGANIZATION } }]);
      expect(listed.data[0]).not.toHaveProperty('value');
      expect((await apiKeys.createValidation({ value: made.value })).apiKey).toMatchObject({ id: made.id });
      await apiKeys.deleteApiKey(made.id);
      expect((await apiKeys.createValidation({ value: made.value })).apiKey).toBeNull();
      expect(await failure(apiKeys.deleteApiKey(made.id))).toMatchObject({ status: 404 });
    },
  ],
  [
    'um.createUserApiKey and um.listUserApiKeys',
    async ({ um, sdk }) => {
      const options = { organizationId: ORGANIZATION, name: 'Laptop' };
      const made = await um.createUserApiKey('user_ada', options);
      expect(made).toMatchObject({
        value: matching(/^sk_/),
        owner: { type: 'user', id: 'user_ada', organizationId: ORGANIZATION },
      });
      const list = async (organizationId?: string) =>
        (await um.listUserApiKeys('user_ada', organizationId === undefined ? {} : { organizationId })).data;
      expect(await list()).toMatchObject([{ id: made.id }]);
      expect(await list(ORGANIZATION)).toHaveLength(1);
      expect(await list('org_looms')).toEqual([]);
      const elsewhere = failure(um.createUserApiKey('user_ada', { ...options, organizationId: 'org_looms' }));
      expect(await elsewhere).toMatchObject({ status: 404 });
      // When a user is deleted, so are the user's keys.
      await um.deleteUser('user_ada');
      expect((await sdk.apiKeys.createValidation({ value: made.value })).apiKey).toBeNull();
    },
  ],
  [
    'sso.getProfileAndToken and sso.getProfile',
    async ({ sdk: { sso }, workos }) => {
      const { clientId } = workos.options;
      const connection = CONNECTION;
      const url = sso.getAuthorizationUrl({ clientId, connection, redirectUri: REDIRECT_URI });
      const callback = new URL(await workos.authorize(url, { user: 'user_ada' }));
      const code = callback.searchParams.get('code')!;
      const { profile, accessToken } = await sso.getProfileAndToken({ code, clientId });
      expect(profile).toMatchObject({
        connectionId: CONNECTION,
        connectionType: 'OktaSAML',
        organizationId: ORGANIZATION,
        email: 'ada@example.com',
        role: { slug: 'admin' },
      });
      expect(await sso.getProfile({ accessToken })).toEqual(profile);
      expect(await failure(sso.getProfile({ accessToken: 'another' }))).toMatchObject({ status: 401 });
      workos.clock.advance(600_000);
      expect(await failure(sso.getProfile({ accessToken }))).toMatchObject({ status: 401 });
      const again = failure(sso.getProfileAndToken({ code, clientId }));
      expect(await again).toMatchObject({ status: 400, error: 'invalid_grant' });
    },
  ],
  [
    'sso.getProfileAndToken of an OAuth provider',
    async ({ sdk: { sso }, workos }) => {
      const { clientId } = workos.options;
      const provider = 'GoogleOAuth';
      const url = sso.getAuthorizationUrl({ clientId, provider, redirectUri: REDIRECT_URI });
      const code = new URL(await workos.authorize(url, { user: 'user_ada' })).searchParams.get('code')!;
      const { oauthTokens } = await sso.getProfileAndToken({ code, clientId });
      expect(oauthTokens).toMatchObject({ accessToken: TEXT, refreshToken: TEXT });
    },
  ],
  [
    'sso.listConnections and sso.getConnection',
    async ({ sdk: { sso } }) => {
      const { data } = await sso.listConnections({ organizationId: ORGANIZATION });
      expect(data).toMatchObject([{ id: CONNECTION, type: 'OktaSAML', state: 'active' }]);
      expect(await sso.getConnection(CONNECTION)).toEqual(data[0]);
      expect((await sso.listConnections({ connectionType: 'AzureSAML' as never })).data).toEqual([]);
      expect(await failure(sso.getConnection('conn_none'))).toMatchObject({ status: 404 });
    },
  ],
  [
    'webhooks.constructEvent',
    async ({ sdk, workos }) => {
      const { body, headers } = workos.webhook('session.revoked', { id: 'session_1' });
      const payload = JSON.parse(body) as Record<string, unknown>;
      const made = await sdk.webhooks.constructEvent({
        payload,
        sigHeader: headers['workos-signature']!,
        secret: workos.webhookSecret,
      });
      expect(made).toMatchObject({ event: 'session.revoked' });
      const at = payload['created_at'] as string;
      expect(new Date(at).toISOString()).toBe(at);
    },
  ],
];

describe.each([
  ['users', USERS],
  ['grants', GRANTS],
  ['memberships', MEMBERSHIPS],
  ['invitations', INVITATIONS],
  ['organizations', ORGANIZATIONS],
  ['API keys, SSO and webhooks', KEYS_AND_SSO],
])('%s', (_, rows) => {
  test.each(rows)('%s is answered as WorkOS does, in the shape of its description', async (_call, run) => {
    const at = await connect();
    await run(at);
    expect(at.problems).toEqual([]);
  });
});

const ELSEWHERE: [call: string, address: string, run: (at: Called) => Promise<unknown>][] = [
  [
    'um.getUserIdentities',
    'GET /user_management/users/user_ada/identities',
    ({ um }) => um.getUserIdentities('user_ada'),
  ],
  [
    'authorization.listOrganizationRoles',
    `GET /authorization/organizations/${ORGANIZATION}/roles`,
    ({ sdk }) => sdk.authorization.listOrganizationRoles(ORGANIZATION),
  ],
  [
    'authorization.listEnvironmentRoles',
    'GET /authorization/roles',
    ({ sdk }) => sdk.authorization.listEnvironmentRoles(),
  ],
  [
    'authorization.listPermissions',
    'GET /authorization/permissions',
    ({ sdk }) => sdk.authorization.listPermissions(),
  ],
  [
    'featureFlags.listOrganizationFeatureFlags',
    `GET /organizations/${ORGANIZATION}/feature-flags`,
    ({ sdk }) => sdk.featureFlags.listOrganizationFeatureFlags({ organizationId: ORGANIZATION }),
  ],
  [
    'featureFlags.listUserFeatureFlags',
    'GET /user_management/users/user_ada/feature-flags',
    ({ sdk }) => sdk.featureFlags.listUserFeatureFlags({ userId: 'user_ada' }),
  ],
  ['events.listEvents', 'GET /events', ({ sdk }) => sdk.events.listEvents({ events: ['user.created'] })],
  ['directorySync.listDirectories', 'GET /directories', ({ sdk }) => sdk.directorySync.listDirectories()],
  [
    'pipes.listUserDataProviders',
    'GET /user_management/users/user_ada/data_providers',
    ({ sdk }) => sdk.pipes.listUserDataProviders({ userId: 'user_ada' }),
  ],
  [
    'adminPortal.generateLink',
    'POST /portal/generate_link',
    ({ sdk }) => sdk.adminPortal.generateLink({ organization: ORGANIZATION, intent: 'sso' } as never),
  ],
  [
    'widgets.createToken',
    'POST /widgets/token',
    ({ sdk }) => sdk.widgets.createToken({ organizationId: ORGANIZATION, userId: 'user_ada' }),
  ],
  [
    'authorization.check',
    'POST /authorization/organization_memberships/om_1/check',
    ({ sdk }) => sdk.authorization.check({ organizationMembershipId: 'om_1', permissionSlug: 'p' } as never),
  ],
  [
    'groups.listGroups',
    `GET /organizations/${ORGANIZATION}/groups`,
    ({ sdk }) => sdk.groups.listGroups({ organizationId: ORGANIZATION }),
  ],
  [
    'pipes.getAccessToken',
    'POST /data-integrations/github/token',
    ({ sdk }) => sdk.pipes.getAccessToken({ provider: 'github', userId: 'user_ada' }),
  ],
  [
    'vault.createObject',
    'POST /vault/v1/kv',
    ({ sdk }) => sdk.vault.createObject({ name: 'n', value: 'v', context: {} }),
  ],
  [
    'radar.createAttempt',
    'POST /radar/attempts',
    ({ sdk }) => sdk.radar.createAttempt({ email: 'ada@example.com' } as never),
  ],
  [
    'auditLogs.createEvent',
    'POST /audit_logs/events',
    ({ sdk }) =>
      sdk.auditLogs.createEvent(ORGANIZATION, {
        action: 'a',
        occurredAt: new Date(),
        targets: [],
        context: {},
      } as never),
  ],
];

describe('a call that the test WorkOS does not implement', () => {
  test.each(ELSEWHERE)('%s is a 501 that says how to stub it', async (_call, address, run) => {
    const at = await connect();
    const [method, path] = address.split(' ');
    const error = (await failure(run(at))) as Error & { status: number };
    expect(error.status).toBe(501);
    expect(error.message).toContain(`does not implement ${address}.`);
    expect(error.message).toContain(`workos.fail({ on: { method: '${method}', path: '${path}' }, status`);
    expect(error.message).toContain('npx workos emulate');
  });

  test.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE'])(
    '%s of any other address is one, too',
    async (method) => {
      const workos = await start();
      for (const path of ['/', '/nothing', '/sdk/feature-flags', '/user_management/users/user_1/nothing']) {
        const response = await fetch(workos.url + path, { method });
        expect(response.status, path).toBe(501);
      }
    },
  );

  test('a grant that it does not implement is one, too', async () => {
    const { um } = await connect();
    const error = failure(
      um.authenticateWithRadarSmsChallenge({
        code: '1',
        verificationId: '2',
        phoneNumber: '3',
        pendingAuthenticationToken: '4',
      }),
    );
    expect(await error).toMatchObject({ status: 501, message: matching(/radar-sms-challenge/) });
  });

  test('can be stubbed by method and path', async () => {
    const { sdk, workos } = await connect();
    const create = () => sdk.widgets.createToken({ organizationId: ORGANIZATION, userId: 'user_ada' });
    const stub = workos.fail({
      on: { method: 'POST', path: '/widgets/token' },
      status: 201,
      body: { token: 'widget-token' },
    });
    expect(await create()).toMatchObject({ token: 'widget-token' });
    stub.restore();
    expect(await failure(create())).toMatchObject({ status: 501 });
  });
});

test('the check against the description notices a missing field, a wrong value and an undescribed status', async () => {
  const at = await connect();
  at.workos.fail({
    on: 'memberships',
    alter: ({ data, ...list }) => ({
      ...list,
      data: (data as Record<string, unknown>[]).map(({ directory_managed: _, ...one }) => ({
        ...one,
        status: 'gone',
        role: { slug: 1 },
      })),
    }),
  });
  await at.um.listOrganizationMemberships({ userId: 'user_ada' });
  at.workos.fail({ on: 'user', status: 418, body: {} });
  await failure(at.um.getUser('user_ada'));
  const found = at.problems.join('\n');
  expect(found).toContain('directory_managed is missing');
  expect(found).toContain('"gone", not one of active');
  expect(found).toContain('role.slug is number, not string');
  expect(found).toContain('does not answer 418');
});

test('the management API needs the API key, whatever the call', async () => {
  const workos = await start(SEED);
  const addresses = [
    'GET /user_management/users',
    'POST /user_management/users',
    'GET /user_management/users/user_ada',
    'PUT /user_management/users/user_ada',
    'DELETE /user_management/users/user_ada',
    'GET /user_management/users/user_ada/sessions',
    'POST /user_management/sessions/revoke',
    'GET /user_management/organization_memberships?user_id=user_ada',
    'GET /user_management/invitations',
    `GET /organizations/${ORGANIZATION}`,
    `DELETE /organizations/${ORGANIZATION}`,
    'POST /api_keys/validations',
    'GET /connections',
    'POST /user_management/magic_auth',
  ];
  for (const address of addresses) {
    const [method, path] = address.split(' ');
    for (const authorization of ['', 'Bearer another', workos.options.apiKey]) {
      const response = await fetch(workos.url + path!, { method: method!, headers: { authorization } });
      expect([address, response.status]).toEqual([address, 401]);
    }
  }
  expect(workos.users()).toHaveLength(3);
});
