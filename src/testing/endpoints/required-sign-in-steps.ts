import type { Directory, DirectoryUser } from '../state/users-and-organizations.js';
import { idFor } from '../state/tokens.js';
import type { Fields } from './request-and-response.js';
import { userJson } from './resource-json.js';

/** An additional step that WorkOS requires before it issues tokens. */
export type StepCode =
  | 'organization_selection_required'
  | 'email_verification_required'
  | 'mfa_enrollment'
  | 'mfa_challenge'
  | 'mfa_verification'
  | 'radar_challenge'
  | 'radar_sign_up_challenge'
  | 'radar_email_challenge'
  | 'radar_sms_challenge'
  | 'sso_required'
  | 'organization_authentication_methods_required';

/** A required step, and the authentications for which it is required. */
export interface RequiredStep {
  code: StepCode;
  /** Id or email address of the user. Default: every user. */
  user?: string;
  /** Id or name of the organization. Default: every organization, and also sign-ins without an organization. */
  organizationId?: string;
  /**
   * When the step is required: on sign-ins, whatever their grant type (`code`), or on refreshes (`refresh`). Default:
   * both.
   */
  on?: 'code' | 'refresh';
}

/** An authentication that may require an additional step. */
export interface StepContext {
  readonly organizationId: string | undefined;
  readonly on: 'code' | 'refresh';
  /** The steps that this authentication has already completed. */
  readonly done: ReadonlySet<StepCode>;
}

export interface RequiredSteps {
  /** Requires a step until `restore` is called. */
  require: (step: RequiredStep) => { restore: () => void };
  /** Returns the first required step that an authentication has not completed yet, or `undefined` if there is none. */
  next: (user: DirectoryUser, context: StepContext) => StepCode | undefined;
}

export function createRequiredSteps(directory: Directory): RequiredSteps {
  const required = new Set<RequiredStep>();
  const isOrganization = (idOrName: string, organizationId: string | undefined) =>
    (directory.findOrganization(idOrName)?.id ?? idOrName) === organizationId;

  return {
    require: (step) => {
      const own = { ...step };
      required.add(own);
      return { restore: () => void required.delete(own) };
    },
    next: ({ user }, { organizationId, on, done }) =>
      [...required].find(
        (step) =>
          (step.on ?? on) === on &&
          (step.user === undefined || directory.findUser(step.user)?.user.id === user.id) &&
          (step.organizationId === undefined || isOrganization(step.organizationId, organizationId)) &&
          !done.has(step.code),
      )?.code,
  };
}

/** The error message that WorkOS returns for each step. The compiler checks that none is missing. */
export const STEP_MESSAGES: Readonly<Record<StepCode, string>> = {
  organization_selection_required: 'The user must choose an organization to finish their authentication.',
  email_verification_required: 'Email ownership must be verified before authentication.',
  mfa_enrollment: 'The user must enroll in MFA to finish authenticating.',
  mfa_challenge: 'The user must complete an MFA challenge to finish authenticating.',
  mfa_verification: 'The user must verify an MFA factor to finish authenticating.',
  radar_challenge: 'The user must complete a Radar challenge to finish authenticating.',
  radar_sign_up_challenge: 'The user must complete a Radar challenge to finish signing up.',
  radar_email_challenge: 'The user must enter a code that was sent by email to finish authenticating.',
  radar_sms_challenge: 'The user must enter a code that was sent by SMS to finish authenticating.',
  sso_required: 'User must authenticate using one of the matching connections.',
  organization_authentication_methods_required:
    'User must authenticate using one of the methods allowed by the organization.',
};

/** The ids and the token in the response that asks for a step. */
export interface StepDetails {
  readonly pendingToken: string;
  readonly emailVerificationId: string;
  readonly radarChallengeId: string;
  readonly factorIds: readonly string[];
}

/**
 * Returns the body of the 403 response that WorkOS sends to ask for a step.
 *
 * @see https://workos.com/docs/reference/authkit/authentication-errors
 */
export function requiredStepJson(
  code: StepCode,
  { user, memberships }: DirectoryUser,
  { pendingToken, emailVerificationId, radarChallengeId, factorIds }: StepDetails,
): Fields {
  const { email } = user;
  const message = STEP_MESSAGES[code];
  const step = { code, message, pending_authentication_token: pendingToken };
  // The format of `sso_required` and `organization_authentication_methods_required`. An organization's policy requires
  // these steps, and WorkOS asks for them with an OAuth error.
  const policy = {
    error: code,
    error_description: message,
    email,
    pending_authentication_token: pendingToken,
  };
  const own = memberships.flatMap(({ organization }) => organization.connections.map(({ id }) => id));
  const connections = own.length > 0 ? own : [idFor('conn', email)];
  switch (code) {
    case 'organization_selection_required': {
      const organizations = memberships.map(({ organization: { id, name } }) => ({ id, name }));
      return { ...step, user: userJson(user), organizations };
    }
    case 'email_verification_required':
      return { ...step, email, email_verification_id: emailVerificationId };
    case 'mfa_enrollment':
      return { ...step, user: userJson(user) };
    case 'mfa_challenge':
    case 'mfa_verification': {
      const factors = factorIds.map((id) => ({ id, type: 'totp' }));
      return { ...step, user: userJson(user), authentication_factors: factors };
    }
    case 'radar_challenge':
    case 'radar_sign_up_challenge':
    case 'radar_email_challenge':
      return { ...step, email, radar_challenge_id: radarChallengeId };
    case 'radar_sms_challenge':
      return { ...step, user: userJson(user) };
    case 'sso_required':
      return { ...policy, connection_ids: connections };
    case 'organization_authentication_methods_required':
      return { ...policy, sso_connection_ids: connections, auth_methods: { sso: true, password: false } };
  }
}
