import type { OauthTokens } from '@workos-inc/node';
import {
  parseAuthorizationRequest,
  type AuthorizationRequest,
  type RequestProblem,
} from './authorization-request.js';
import type { Codes } from './codes.js';
import type { Directory, Person } from './directory.js';
import { newSecret } from './identifier.js';
import { json, redirect, text, type Question, type Reply } from './reply.js';
import { errorPage, signInPage, signUpPage } from './sign-in-page.js';

export interface AuthorizeParts {
  clientId: string;
  redirectUris: readonly string[] | undefined;
  directory: Directory;
  codes: Codes;
  now: () => number;
  /** Learns of every redirect URI that was accepted. */
  onRedirectUri: (redirectUri: string) => void;
}

type Fields = Readonly<Record<string, unknown>>;

/** `GET /user_management/authorize`: the page on which somebody says who they are. */
export function createAuthorize(parts: AuthorizeParts): (question: Question) => Reply {
  return (question) => {
    const request = parseAuthorizationRequest(question.query, parts);
    if ('error' in request) return refuse(request, question);
    parts.onRedirectUri(request.redirectUri);
    return request.isSignUp ? signUpPage(request) : signInPage(request, parts.directory);
  };
}

/** `POST /user_management/authorize/choose`: what was chosen there. */
export function createChoose(parts: AuthorizeParts): (question: Question) => Reply {
  return (question) => {
    const { body = {} } = question;
    const request = parseAuthorizationRequest(new URLSearchParams(text(body['request']) ?? ''), parts);
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
    const organizationId = chooseOrganization(body, request, person);
    if (organizationId === undefined || isMember(person, organizationId)) {
      return goBack(request, { code: issueCode(request, person, organizationId, parts) });
    }
    const description = `${person.user.email} is not a member of the organization ${organizationId}.`;
    return refuse({ error: 'access_denied', description }, question);
  };
}

function refuse({ error, description }: RequestProblem, { wantsPage }: Question): Reply {
  return wantsPage ? errorPage(description) : json(400, { error, error_description: description });
}

function goBack({ redirectUri, state }: AuthorizationRequest, answer: Record<string, string>): Reply {
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
  { provider, connectionId, codeChallenge, asksAge, providerScopes }: AuthorizationRequest,
  person: Person,
  organizationId: string | undefined,
  { codes, now }: AuthorizeParts,
): string {
  const isOAuth = provider?.endsWith('OAuth') === true;
  const authTime = Math.floor(now() / 1000);
  return codes.issue({
    userId: person.user.id,
    organizationId,
    authenticationMethod: connectionId !== undefined ? 'SSO' : isOAuth ? provider : 'Password',
    codeChallenge,
    authTime: asksAge ? authTime : undefined,
    oauthTokens: isOAuth ? providerTokens(authTime, providerScopes) : undefined,
  });
}

/** What an OAuth provider would have handed to WorkOS; good for an hour, and for nothing. */
function providerTokens(now: number, scopes: readonly string[]): OauthTokens {
  return { accessToken: newSecret(), refreshToken: newSecret(), expiresAt: now + 3600, scopes: [...scopes] };
}
