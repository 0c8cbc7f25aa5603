import type { OauthTokens } from '@workos-inc/node';
import type { Connection, Directory, Invitations, Person } from '../state/directory.js';
import { type Codes, newSecret } from '../state/tokens.js';
import {
  type AuthorizationRequest,
  type Endpoint,
  type RequestProblem,
  parseAuthorizationRequest,
} from './authorization-request.js';
import { type TestRequest, type TestResponse, json, redirect, text } from './http.js';
import { errorPage, signInPage, signUpPage } from './sign-in-page.js';

export interface AuthorizeParts {
  clientId: string;
  redirectUris: readonly string[] | undefined;
  directory: Directory;
  /** A code of one endpoint is worth nothing at the other. */
  codes: Readonly<Record<Endpoint, Codes>>;
  invitations: Invitations;
  now: () => number;
  /** Learns of every redirect URI that was accepted. */
  onRedirectUri: (redirectUri: string) => void;
}

type Fields = Readonly<Record<string, unknown>>;

function endpointOf({ path }: TestRequest): Endpoint {
  return path.startsWith('/sso/') ? '/sso/authorize' : '/user_management/authorize';
}

/** `GET /user_management/authorize` and `/sso/authorize`: the page on which somebody says who they are. */
export function createAuthorize(parts: AuthorizeParts): (question: TestRequest) => TestResponse {
  return (question) => {
    const request = parseAuthorizationRequest(question.query, endpointOf(question), parts);
    if ('error' in request) return refuse(request, question);
    parts.onRedirectUri(request.redirectUri);
    const problem = unknownIn(request, parts);
    if (problem) return goBack(request, problem);
    return request.isSignUp ? signUpPage(request) : signInPage(request, parts.directory);
  };
}

/** What is told to the application: its address is trusted by now. */
function unknownIn(
  { endpoint, connectionId, organizationId, invitationToken }: AuthorizationRequest,
  { directory, invitations }: AuthorizeParts,
): Record<string, string> | undefined {
  const error = (code: string, description: string) => ({ error: code, error_description: description });
  if (invitationToken !== undefined && !invitations.find(invitationToken))
    return error('invitation_invalid', 'The invitation is unknown, or was accepted already.');
  if (endpoint !== '/sso/authorize') return undefined;
  if (connectionId !== undefined && !directory.findConnection(connectionId))
    return error('connection_invalid', 'There is no such connection.');
  if (organizationId !== undefined && !directory.findOrganization(organizationId)?.connections[0])
    return error('organization_invalid', 'No connection associated with organization.');
  return undefined;
}

/** `POST …/authorize/choose`: what was chosen there. */
export function createChoose(parts: AuthorizeParts): (question: TestRequest) => TestResponse {
  return (question) => {
    const { body = {} } = question;
    const query = new URLSearchParams(text(body['request']) ?? '');
    const request = parseAuthorizationRequest(query, endpointOf(question), parts);
    if ('error' in request) return refuse(request, question);
    if (body['decision'] === 'deny') {
      return goBack(request, { error: 'access_denied', error_description: 'The user denied the sign-in.' });
    }
    const person = choosePerson(body, parts.directory);
    if (typeof person === 'string') {
      const problem = { error: 'invalid_request', description: person };
      return request.isSignUp && question.wantsPage
        ? signUpPage(request, { problem: person, fields: body })
        : refuse(problem, question);
    }
    return enter(request, person, question, parts);
  };
}

/** Somebody is let in where they are a member, or where they have just been invited to. */
function enter(
  request: AuthorizationRequest,
  person: Person,
  question: TestRequest,
  parts: AuthorizeParts,
): TestResponse {
  const { directory, invitations } = parts;
  const invitation = invitations.find(request.invitationToken ?? '');
  if (invitation && invitation.email.toLowerCase() !== person.user.email.toLowerCase()) {
    const description = `The invitation is for ${invitation.email}.`;
    return refuse({ error: 'access_denied', description }, question);
  }
  const joined = invitation && invitations.accept(request.invitationToken ?? '');
  const connection = connectionOf(request, directory);
  const organizationId =
    joined ?? connection?.organizationId ?? chooseOrganization(question.body ?? {}, request, person);
  const now = directory.find(person.user.id) ?? person;
  if (organizationId !== undefined && !isMember(now, organizationId)) {
    const description = `${person.user.email} is not a member of the organization ${organizationId}.`;
    return refuse({ error: 'access_denied', description }, question);
  }
  return goBack(request, { code: issueCode(request, now, organizationId, connection, parts) });
}

/** An organization alone leads to its connection at the SSO API only; AuthKit asks the person first. */
function connectionOf(
  { endpoint, connectionId, organizationId }: AuthorizationRequest,
  directory: Directory,
): Connection | undefined {
  if (connectionId !== undefined) return directory.findConnection(connectionId);
  if (endpoint !== '/sso/authorize' || organizationId === undefined) return undefined;
  return directory.findOrganization(organizationId)?.connections[0];
}

function refuse({ error, description }: RequestProblem, { wantsPage }: TestRequest): TestResponse {
  return wantsPage ? errorPage(description) : json(400, { error, error_description: description });
}

function goBack({ redirectUri, state }: AuthorizationRequest, answer: Record<string, string>): TestResponse {
  const url = new URL(redirectUri);
  for (const [name, value] of Object.entries(answer)) url.searchParams.set(name, value);
  if (state !== undefined) url.searchParams.set('state', state);
  return redirect(url.href);
}

/** Somebody who is there, or somebody new; a sentence if that cannot be. */
function choosePerson(fields: Fields, directory: Directory): Person | string {
  const chosen = text(fields['user']);
  if (chosen !== undefined) return directory.find(chosen) ?? `Nobody here is ${chosen}.`;
  const email = text(fields['email'])?.trim();
  if (email === undefined || !/^[^\s@]+@[^\s@]+$/.test(email)) return 'Please enter an e-mail address.';
  if (directory.find(email)) return `There is somebody with the address ${email} already.`;
  const [firstName, lastName] = [text(fields['first_name']), text(fields['last_name'])];
  return directory.put({
    email,
    ...(firstName === undefined ? {} : { firstName }),
    ...(lastName === undefined ? {} : { lastName }),
  });
}

/** Unless it was chosen: what the application asked for, else the person's first organization, if any. */
function chooseOrganization(
  fields: Fields,
  request: AuthorizationRequest,
  person: Person,
): string | undefined {
  if (typeof fields['organization_id'] === 'string') return text(fields['organization_id']);
  return request.organizationId ?? person.memberships[0]?.organizationId;
}

function isMember(person: Person, organizationId: string): boolean {
  return person.memberships.some((membership) => membership.organizationId === organizationId);
}

function issueCode(
  request: AuthorizationRequest,
  person: Person,
  organizationId: string | undefined,
  connection: Connection | undefined,
  { codes, now }: AuthorizeParts,
): string {
  const { endpoint, provider, codeChallenge, asksAge, providerScopes } = request;
  const connectionId = connection?.id ?? request.connectionId;
  const isOAuth = provider?.endsWith('OAuth') === true;
  const authTime = Math.floor(now() / 1000);
  return codes[endpoint].issue({
    userId: person.user.id,
    organizationId,
    authenticationMethod: connectionId !== undefined ? 'SSO' : isOAuth ? provider : 'Password',
    connectionId,
    isOrganizationNamed: request.organizationId !== undefined,
    codeChallenge,
    authTime: asksAge ? authTime : undefined,
    oauthTokens: isOAuth ? providerTokens(authTime, providerScopes) : undefined,
  });
}

/** What an OAuth provider would have handed to WorkOS; good for an hour, and for nothing. */
function providerTokens(now: number, scopes: readonly string[]): OauthTokens {
  return { accessToken: newSecret(), refreshToken: newSecret(), expiresAt: now + 3600, scopes: [...scopes] };
}
