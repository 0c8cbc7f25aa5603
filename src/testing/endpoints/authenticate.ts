import type {
  AuthFactors,
  CodeCheck,
  OneTimeCodes,
  Passwords,
} from '../state/passwords-codes-and-factors.js';
import type { Directory, DirectoryUser } from '../state/users-and-organizations.js';
import type { Refusal, Session, Sessions } from '../state/sessions.js';
import { newSecret, provesChallenge, type AuthorizationCodes, type ProviderTokens } from '../state/tokens.js';
import {
  apiError,
  json,
  notImplemented,
  oauthError,
  text,
  type Fields,
  type Operation,
  type Route,
  type TestRequest,
  type TestResponse,
} from './request-and-response.js';
import type { Invitations } from './invitations.js';
import { tokensJson } from './resource-json.js';
import { requiredStepJson, type RequiredSteps, type StepCode } from './required-sign-in-steps.js';

export interface AuthenticateDependencies {
  clientId: string;
  apiKey: string;
  directory: Directory;
  codes: AuthorizationCodes;
  sessions: Sessions;
  steps: RequiredSteps;
  invitations: Invitations;
  passwords: Passwords;
  oneTimeCodes: OneTimeCodes;
  factors: AuthFactors;
  now: () => number;
}

/**
 * An authentication in progress. The user's identity has been proved, but additional steps may be required before
 * tokens are issued.
 */
interface Attempt {
  readonly userId: string;
  readonly organizationId: string | undefined;
  readonly authenticationMethod: string;
  /** When the user authenticated, in seconds since the epoch. */
  readonly authTime: number;
  readonly userAgent: string | undefined;
  readonly ipAddress: string | undefined;
  readonly oauthTokens: ProviderTokens | undefined;
  readonly invitationToken: string | undefined;
  /**
   * Whether the attempt skips all steps except those that `requireStep` requires. True for sign-ins on AuthKit's pages,
   * because these pages handle the other steps, and for refreshes, because the session's sign-in has completed them.
   */
  readonly isHosted: boolean;
  readonly done: ReadonlySet<StepCode>;
}

const GRANTS = {
  code: 'authorization_code',
  refresh: 'refresh_token',
  password: 'password',
  magicAuth: 'urn:workos:oauth:grant-type:magic-auth:code',
  emailVerification: 'urn:workos:oauth:grant-type:email-verification:code',
  totp: 'urn:workos:oauth:grant-type:mfa-totp',
  organizationSelection: 'urn:workos:oauth:grant-type:organization-selection',
  radarEmail: 'urn:workos:oauth:grant-type:radar-email-challenge:code',
} as const;

/** Grant types that WorkOS supports but the test WorkOS does not. */
const NOT_IMPLEMENTED = [
  'urn:ietf:params:oauth:grant-type:device_code',
  'urn:workos:oauth:grant-type:radar-sms-challenge:code',
];

function operationOf({ body }: TestRequest): Operation {
  if (body?.['grant_type'] === GRANTS.code) return 'code';
  return body?.['grant_type'] === GRANTS.refresh ? 'refresh' : 'authenticate';
}

/**
 * Creates the route `POST /user_management/authenticate`, which exchanges a code, a refresh token or other credentials
 * for tokens.
 *
 * @see https://workos.com/docs/reference/authkit/authentication
 */
export function authenticateRoutes(dependencies: AuthenticateDependencies): Route[] {
  const { clientId, apiKey } = dependencies;
  const attempts = createAttempts(dependencies);
  const grants: Readonly<Record<string, (fields: Fields) => TestResponse | Promise<TestResponse>>> = {
    [GRANTS.code]: createCodeGrant(dependencies, attempts),
    [GRANTS.refresh]: createRefreshGrant(dependencies, attempts),
    ...createDirectGrants(dependencies, attempts),
    ...createPendingGrants(dependencies, attempts),
  };
  return [
    {
      on: 'POST /user_management/authenticate',
      operation: operationOf,
      needsApiKey: false,
      handle: (request) => {
        const { body, authorization } = request;
        // The SDK sends the API key both in the `Authorization` header and in the body.
        if (authorization !== undefined && authorization !== `Bearer ${apiKey}`) return apiError(401);
        if (!body) return oauthError(400, 'invalid_request', 'The body is neither JSON nor a form.');
        if (body['client_id'] !== clientId) return oauthError(400, 'invalid_client', 'Invalid client ID.');
        if (body['client_secret'] !== apiKey)
          return oauthError(400, 'invalid_client', 'Invalid client secret.');
        const grantType = text(body['grant_type']) ?? '';
        const grant = Object.hasOwn(grants, grantType) ? grants[grantType] : undefined;
        if (grant) return grant(body);
        if (NOT_IMPLEMENTED.includes(grantType)) return notImplemented(request, `grant_type ${grantType}`);
        return oauthError(400, 'unsupported_grant_type', `The grant type '${grantType}' is not supported.`);
      },
    },
  ];
}

type Attempts = ReturnType<typeof createAttempts>;

/** Creates the functions that finish an authentication, and the store for authentications that still require a step. */
function createAttempts(dependencies: AuthenticateDependencies) {
  const { directory, sessions, invitations } = dependencies;
  const pending = new Map<string, Attempt>();

  const hold = (attempt: Attempt, step: StepCode, user: DirectoryUser): TestResponse => {
    const pendingToken = newSecret();
    pending.set(pendingToken, attempt);
    return json(403, requiredStepJson(step, user, { pendingToken, ...detailsOf(step, user, dependencies) }));
  };

  const finish = async (attempt: Attempt): Promise<TestResponse> => {
    const { userId, invitationToken } = attempt;
    const known = directory.getUser(userId);
    if (!known) return oauthError(400, 'invalid_grant', 'The user no longer exists.');
    if (invitationToken !== undefined) {
      const problem = invitations.problem(invitationToken, known.user.email);
      if (problem) return oauthError(400, problem.error, problem.description);
    }
    const step = nextStep(attempt, known, dependencies);
    if (step !== undefined) return hold(attempt, step, known);
    const invited = invitationToken === undefined ? undefined : invitations.accept(invitationToken, userId);
    const user = directory.getUser(userId) ?? known;
    const implied = attempt.isHosted ? undefined : user.memberships[0]?.organizationId;
    const organizationId = invited ?? attempt.organizationId ?? implied;
    const isMember = isActiveMember(user, organizationId);
    if (organizationId !== undefined && !isMember) return noMembership();
    directory.recordSignIn(userId);
    const signedIn = directory.getUser(userId)?.user ?? user.user;
    const { authenticationMethod, authTime, userAgent, ipAddress } = attempt;
    const pair = await sessions.start({
      userId,
      organizationId,
      isMember,
      authenticationMethod,
      authTime,
      userAgent,
      ipAddress,
      impersonator: undefined,
      claims: {},
    });
    return json(200, tokensJson(signedIn, pair, attempt.oauthTokens));
  };

  return {
    finish,
    hold,
    find: (token: string | undefined) => pending.get(token ?? ''),
    remove: (token: string | undefined) => void pending.delete(token ?? ''),
  };
}

/**
 * Returns the next step that an attempt requires, or `undefined` if it can be finished. Email verification comes first,
 * then MFA, then the steps that a test requires with `requireStep`, and finally the choice of an organization.
 */
function nextStep(
  { isHosted, organizationId, invitationToken, done }: Attempt,
  user: DirectoryUser,
  { factors, steps }: AuthenticateDependencies,
): StepCode | undefined {
  const isMissing = (code: StepCode) => !isHosted && !done.has(code);
  if (!user.user.emailVerified && isMissing('email_verification_required'))
    return 'email_verification_required';
  if (factors.of(user.user.id).length > 0 && isMissing('mfa_challenge')) return 'mfa_challenge';
  const required = steps.next(user, { organizationId, on: 'code', done });
  if (required !== undefined) return required;
  const mustChoose =
    organizationId === undefined && invitationToken === undefined && user.memberships.length > 1;
  return mustChoose && isMissing('organization_selection_required')
    ? 'organization_selection_required'
    : undefined;
}

/**
 * Prepares a step, for example by sending a code by email. Returns the details for the response that asks for the step,
 * such as the id of that code.
 */
function detailsOf(
  step: StepCode,
  { user }: DirectoryUser,
  { oneTimeCodes, factors }: AuthenticateDependencies,
) {
  const isRadar = step === 'radar_challenge' || step === 'radar_email_challenge';
  if (step === 'mfa_challenge' && factors.of(user.id).length === 0)
    factors.enroll({ userId: user.id, issuer: 'Test WorkOS', account: user.email });
  return {
    emailVerificationId:
      step === 'email_verification_required' ? oneTimeCodes.send('email_verification', user).id : '',
    radarChallengeId:
      isRadar || step === 'radar_sign_up_challenge' ? oneTimeCodes.send('radar_challenge', user).id : '',
    factorIds: factors.of(user.id).map(({ id }) => id),
  };
}

function isActiveMember({ memberships }: DirectoryUser, organizationId: string | undefined): boolean {
  return memberships.some((membership) => membership.organizationId === organizationId);
}

function noMembership(): TestResponse {
  return oauthError(
    400,
    'organization_membership_not_found',
    'The user is not an active member of this organization.',
  );
}

/** Returns the browser's `User-Agent` and IP address, which the application sends in the request. */
function clientOf(fields: Fields) {
  return { userAgent: text(fields['user_agent']), ipAddress: text(fields['ip_address']) };
}

function createCodeGrant({ codes, directory }: AuthenticateDependencies, { finish }: Attempts) {
  return (fields: Fields): TestResponse | Promise<TestResponse> => {
    const code = text(fields['code']);
    if (code === undefined) return oauthError(400, 'invalid_request', 'code is missing.');
    const authorization = codes.consume(code);
    if (!authorization || !directory.getUser(authorization.userId))
      return oauthError(400, 'invalid_grant', `The code '${code}' has expired or is invalid.`);
    if (!provesChallenge(authorization.codeChallenge, text(fields['code_verifier'])))
      return oauthError(400, 'invalid_grant', 'Invalid code verifier.');
    const { connectionId, isOrganizationNamed, userAgent } = authorization;
    const done = new Set<StepCode>();
    if (isOrganizationNamed) done.add('organization_selection_required');
    if (connectionId !== undefined)
      done.add('sso_required').add('organization_authentication_methods_required');
    const client = clientOf(fields);
    return finish({
      ...authorization,
      userAgent: client.userAgent ?? userAgent,
      ipAddress: client.ipAddress,
      invitationToken: text(fields['invitation_token']),
      isHosted: true,
      done,
    });
  };
}

const REFUSALS: Readonly<Record<Refusal, string>> = {
  unknown: 'Invalid refresh token.',
  ended: 'Session has already ended.',
  exchanged: 'Refresh token already exchanged.',
};

function createRefreshGrant(
  { sessions, steps, directory, now }: AuthenticateDependencies,
  { hold }: Attempts,
) {
  return async (fields: Fields): Promise<TestResponse> => {
    const refreshToken = text(fields['refresh_token']);
    if (refreshToken === undefined) return oauthError(400, 'invalid_request', 'refresh_token is missing.');
    const session = sessions.check(refreshToken);
    if (typeof session === 'string') return oauthError(400, 'invalid_grant', REFUSALS[session]);
    const user = directory.getUser(session.userId);
    if (!user) return oauthError(400, 'invalid_grant', REFUSALS.ended);
    const organizationId = text(fields['organization_id']) ?? session.organizationId;
    if (!mayEnter(user, session, organizationId)) return noMembership();
    const step = steps.next(user, { organizationId, on: 'refresh', done: new Set() });
    if (step !== undefined) return hold(attemptOf(session, organizationId, now()), step, user);
    const isMember = isActiveMember(user, organizationId);
    return json(200, tokensJson(user.user, await sessions.rotate(refreshToken, organizationId, isMember)));
  };
}

/**
 * Returns whether a session can be refreshed for an organization: always if there is no organization, if the user is an
 * active member of the organization, or if `signIn` started the session there although the user was not a member.
 */
function mayEnter(user: DirectoryUser, session: Session, organizationId: string | undefined): boolean {
  if (organizationId === undefined || isActiveMember(user, organizationId)) return true;
  return organizationId === session.organizationId && !session.isMember;
}

/**
 * Creates an attempt from a refresh that requires a step. The attempt is finished once that step has been completed.
 */
function attemptOf(session: Session, organizationId: string | undefined, now: number): Attempt {
  const { userId, authenticationMethod, userAgent, ipAddress } = session;
  const who = { userId, organizationId, authenticationMethod, userAgent, ipAddress };
  const authTime = Math.floor(now / 1000);
  return {
    ...who,
    authTime,
    oauthTokens: undefined,
    invitationToken: undefined,
    isHosted: true,
    done: new Set(),
  };
}

/** Creates the grants for applications that sign users in with their own forms instead of AuthKit's pages. */
function createDirectGrants(
  { directory, passwords, oneTimeCodes, now }: AuthenticateDependencies,
  { finish }: Attempts,
): Record<string, (fields: Fields) => TestResponse | Promise<TestResponse>> {
  const start = (fields: Fields, userId: string, authenticationMethod: string) =>
    finish({
      userId,
      organizationId: undefined,
      authenticationMethod,
      authTime: Math.floor(now() / 1000),
      ...clientOf(fields),
      oauthTokens: undefined,
      invitationToken: text(fields['invitation_token']),
      isHosted: false,
      done: new Set(),
    });
  return {
    [GRANTS.password]: (fields) => {
      const email = text(fields['email']) ?? '';
      const user = directory.findUser(email)?.user;
      const checked = user && passwords.check(user.id, text(fields['password']) ?? '');
      if (checked === 'hashed')
        return apiError(
          501,
          `The test WorkOS cannot check a password against the hash that '${email}' was created with. Set a \`password\` instead.`,
        );
      if (!user || checked !== 'ok')
        return apiError(400, `Invalid credentials for '${email}'.`, 'invalid_credentials');
      return start(fields, user.id, 'Password');
    },
    [GRANTS.magicAuth]: (fields) => {
      const user = directory.findUser(text(fields['email']) ?? '')?.user;
      const checked = user ? oneTimeCodes.use('magic_auth', user.id, text(fields['code'])) : 'invalid';
      if (!user || checked !== 'ok') return oneTimeCodeError(checked);
      // The user has received the code by email, so the address is verified.
      if (!user.emailVerified) directory.updateUser(user.id, { emailVerified: true });
      return start(fields, user.id, 'MagicAuth');
    },
  };
}

function oneTimeCodeError(check: CodeCheck): TestResponse {
  if (check === 'expired') return apiError(400, 'The one-time code has expired.', 'one_time_code_expired');
  if (check === 'used')
    return apiError(400, 'The one-time code was used before.', 'one_time_code_previously_used');
  return apiError(400, 'Invalid one-time code.', 'invalid_one_time_code');
}

/**
 * Creates the grants that complete a step. The request contains the `pending_authentication_token` from the response
 * that asked for the step.
 */
function createPendingGrants(
  { directory, oneTimeCodes, factors }: AuthenticateDependencies,
  { finish, find, remove }: Attempts,
): Record<string, (fields: Fields) => TestResponse | Promise<TestResponse>> {
  /**
   * Creates a grant that completes a step and then finishes the authentication.
   *
   * @param take Completes the step and returns the changed attempt. If it returns an error response instead, the
   * pending token stays valid.
   */
  const step = (take: (attempt: Attempt, fields: Fields) => Attempt | TestResponse) => (fields: Fields) => {
    const token = text(fields['pending_authentication_token']);
    const attempt = find(token);
    if (!attempt)
      return apiError(
        400,
        'The pending authentication token is invalid.',
        'invalid_pending_authentication_token',
      );
    const taken = take(attempt, fields);
    if ('status' in taken) return taken;
    remove(token);
    return finish(taken);
  };
  const did = (attempt: Attempt, ...codes: StepCode[]): Attempt => ({
    ...attempt,
    done: new Set([...attempt.done, ...codes]),
  });
  return {
    [GRANTS.emailVerification]: step((attempt, fields) => {
      const checked = oneTimeCodes.use('email_verification', attempt.userId, text(fields['code']));
      if (checked !== 'ok') return oneTimeCodeError(checked);
      if (directory.getUser(attempt.userId)) directory.updateUser(attempt.userId, { emailVerified: true });
      return did(attempt, 'email_verification_required');
    }),
    [GRANTS.totp]: step((attempt, fields) => {
      const challenge = factors.findChallenge(text(fields['authentication_challenge_id']) ?? '');
      const isOwn = factors.find(challenge?.factorId ?? '')?.userId === attempt.userId;
      const checked = challenge && isOwn ? factors.verify(challenge, text(fields['code'])) : 'invalid';
      if (checked !== 'ok') return oneTimeCodeError(checked);
      return did(attempt, 'mfa_challenge', 'mfa_enrollment', 'mfa_verification');
    }),
    [GRANTS.organizationSelection]: step((attempt, fields) => {
      const organizationId = text(fields['organization_id']);
      const user = directory.getUser(attempt.userId);
      if (organizationId === undefined || !directory.getOrganization(organizationId))
        return apiError(400, 'The organization does not exist.', 'invalid_organization_id');
      if (!user || !isActiveMember(user, organizationId)) return noMembership();
      return did({ ...attempt, organizationId }, 'organization_selection_required');
    }),
    [GRANTS.radarEmail]: step((attempt, fields) => {
      const challenge = oneTimeCodes.find('radar_challenge', text(fields['radar_challenge_id']) ?? '');
      const isOwn = challenge?.userId === attempt.userId;
      const checked = isOwn
        ? oneTimeCodes.use('radar_challenge', attempt.userId, text(fields['code']))
        : 'invalid';
      if (checked !== 'ok') return oneTimeCodeError(checked);
      return did(attempt, 'radar_email_challenge', 'radar_challenge', 'radar_sign_up_challenge');
    }),
  };
}
