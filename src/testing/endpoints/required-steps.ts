import type { Directory, Organization, Person } from '../state/directory.js';
import { idFor, newSecret } from '../state/tokens.js';
import { type TestResponse, json } from './http.js';
import { userJson } from './json.js';

/** A further step that WorkOS demands before it hands out tokens. */
export type StepCode =
  | 'organization_selection_required'
  | 'email_verification_required'
  | 'mfa_enrollment'
  | 'mfa_challenge'
  | 'sso_required'
  | 'organization_authentication_methods_required';

/** Whose authentication stays unfinished, and how. */
export interface RequiredStep {
  code: StepCode;
  /** Id or e-mail address; without it, everybody. */
  user?: string;
  /** Id or name; without it, whatever the organization. */
  organizationId?: string;
  /** `code`: when signing in; `refresh`: when refreshing. Without it, both. */
  on?: 'code' | 'refresh';
}

export interface Steps {
  /** Demands the step until `restore`. */
  require: (step: RequiredStep) => { restore: () => void };
  /** What WorkOS answers in place of tokens, if somebody has a step to make. */
  demandedOf: (
    person: Person,
    organizationId: string | undefined,
    on: 'code' | 'refresh',
    done?: StepsDone,
  ) => TestResponse | undefined;
}

/** What a sign-in has brought along already, so that it is not demanded again. */
export interface StepsDone {
  /** It went through an SSO connection. */
  readonly isSSO: boolean;
  /** It named an organization. */
  readonly isOrganizationNamed: boolean;
}

function isDone(code: StepCode, { isSSO, isOrganizationNamed }: StepsDone): boolean {
  if (code === 'organization_selection_required') return isOrganizationNamed;
  return isSSO && (code === 'sso_required' || code === 'organization_authentication_methods_required');
}

export function createSteps(directory: Directory): Steps {
  const required = new Set<RequiredStep>();
  const isMember = (idOrName: string, organizationId: string | undefined) =>
    (directory.findOrganization(idOrName)?.id ?? idOrName) === organizationId;

  return {
    require: (step) => {
      const own = { ...step };
      required.add(own);
      return { restore: () => void required.delete(own) };
    },
    demandedOf: (person, organizationId, on, done) => {
      for (const step of required) {
        if (step.on !== undefined && step.on !== on) continue;
        if (step.user !== undefined && directory.find(step.user)?.user.id !== person.user.id) continue;
        if (step.organizationId !== undefined && !isMember(step.organizationId, organizationId)) continue;
        if (done && isDone(step.code, done)) continue;
        return json(403, unfinished(step.code, person));
      }
      return undefined;
    },
  };
}

const MESSAGES: Readonly<Record<StepCode, string>> = {
  organization_selection_required: 'The user must choose an organization to finish their authentication.',
  email_verification_required: 'Email ownership must be verified before authentication.',
  mfa_enrollment: 'The user must enroll in MFA to finish authenticating.',
  mfa_challenge: 'The user must complete an MFA challenge to finish authenticating.',
  sso_required: 'User must authenticate using one of the matching connections.',
  organization_authentication_methods_required:
    'User must authenticate using one of the methods allowed by the organization.',
};

/** @see https://workos.com/docs/reference/authkit/authentication-errors */
function unfinished(code: StepCode, person: Person): Record<string, unknown> {
  const { email, id } = person.user;
  const own = person.memberships.flatMap(({ organization }) => organization.connections.map((one) => one.id));
  const connections = own.length > 0 ? own : [idFor('conn', email)];
  const step = { code, message: MESSAGES[code], pending_authentication_token: newSecret() };
  // WorkOS words the two that an organization's policy demands in the form of OAuth.
  const policy = {
    error: code,
    error_description: MESSAGES[code],
    email,
    pending_authentication_token: newSecret(),
  };
  switch (code) {
    case 'organization_selection_required':
      return { ...step, user: userJson(person.user), organizations: organizationsOf(person) };
    case 'email_verification_required':
      return { ...step, email, email_verification_id: idFor('email_verification', id) };
    case 'mfa_enrollment':
      return { ...step, user: userJson(person.user) };
    case 'mfa_challenge': {
      const factors = [{ id: idFor('auth_factor', id), type: 'totp' }];
      return { ...step, user: userJson(person.user), authentication_factors: factors };
    }
    case 'sso_required':
      return { ...policy, connection_ids: connections };
    case 'organization_authentication_methods_required':
      return { ...policy, sso_connection_ids: connections, auth_methods: { sso: true, password: false } };
  }
}

function organizationsOf({ memberships }: Person): Pick<Organization, 'id' | 'name'>[] {
  return memberships.map(({ organization: { id, name } }) => ({ id, name }));
}
