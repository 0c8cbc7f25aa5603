import type { OauthTokens } from '@workos-inc/node';
import type { Directory, Person } from '../state/directory.js';
import type { NewSession, Refusal, Session, Sessions } from '../state/sessions.js';
import { type Authorization, type Codes, provesChallenge } from '../state/tokens.js';
import { type TestRequest, type TestResponse, apiError, json, oauthError, text } from './http.js';
import { tokensJson } from './json.js';
import type { Steps } from './required-steps.js';

export interface AuthenticateParts {
  clientId: string;
  apiKey: string;
  directory: Directory;
  codes: Codes;
  sessions: Sessions;
  steps: Steps;
}

type Fields = Readonly<Record<string, unknown>>;

/** `POST /user_management/authenticate`: exchanges a code, or a refresh token, for tokens. */
export function createAuthenticate(
  parts: AuthenticateParts,
): (request: TestRequest) => Promise<TestResponse> {
  const exchangeCode = createCodeGrant(parts);
  const refresh = createRefreshGrant(parts);
  return async ({ body }) => {
    if (!body) return oauthError(400, 'invalid_request', 'The body is neither JSON nor a form.');
    if (body['client_id'] !== parts.clientId) return oauthError(401, 'invalid_client', 'Invalid client ID.');
    if (body['client_secret'] !== parts.apiKey)
      return oauthError(401, 'invalid_client', 'Invalid client secret.');
    if (body['grant_type'] === 'authorization_code') return exchangeCode(body);
    if (body['grant_type'] === 'refresh_token') return refresh(body);
    return oauthError(
      400,
      'unsupported_grant_type',
      'A test WorkOS knows authorization_code and refresh_token.',
    );
  };
}

function createCodeGrant({ codes, sessions, steps, directory }: AuthenticateParts) {
  return async (fields: Fields): Promise<TestResponse> => {
    const code = text(fields['code']);
    if (code === undefined) return oauthError(400, 'invalid_request', 'code is missing.');
    const authorization = codes.spend(code);
    const person = authorization && directory.find(authorization.userId);
    if (!person) return oauthError(400, 'invalid_grant', `The code '${code}' has expired or is invalid.`);
    if (!provesChallenge(authorization.codeChallenge, text(fields['code_verifier']))) {
      return oauthError(400, 'invalid_grant', 'Invalid code verifier.');
    }
    const demand = steps.demandedOf(person, authorization.organizationId, 'code', {
      isSSO: authorization.connectionId !== undefined,
      isOrganizationNamed: authorization.isOrganizationNamed,
    });
    if (demand) return demand;
    directory.recordSignIn(person.user.id);
    const pair = await sessions.start(sessionOf(authorization));
    const { user } = directory.find(person.user.id) ?? person;
    return json(200, { ...tokensJson(user, pair), ...oauthTokensJson(authorization.oauthTokens) });
  };
}

function sessionOf({ userId, organizationId, authenticationMethod, authTime }: Authorization): NewSession {
  return { userId, organizationId, authenticationMethod, authTime, impersonator: undefined, claims: {} };
}

function oauthTokensJson(tokens: OauthTokens | undefined): Fields {
  if (!tokens) return {};
  const { accessToken, refreshToken, expiresAt, scopes } = tokens;
  return {
    oauth_tokens: { access_token: accessToken, refresh_token: refreshToken, expires_at: expiresAt, scopes },
  };
}

const REFUSALS: Readonly<Record<Refusal, string>> = {
  unknown: 'Invalid refresh token.',
  ended: 'Session has already ended.',
  exchanged: 'Refresh token already exchanged.',
};

function createRefreshGrant({ sessions, steps, directory }: AuthenticateParts) {
  return async (fields: Fields): Promise<TestResponse> => {
    const refreshToken = text(fields['refresh_token']);
    if (refreshToken === undefined) return oauthError(400, 'invalid_request', 'refresh_token is missing.');
    const session = sessions.check(refreshToken);
    if (typeof session === 'string') return oauthError(400, 'invalid_grant', REFUSALS[session]);
    const person = directory.find(session.userId);
    if (!person) return oauthError(400, 'invalid_grant', REFUSALS.ended);
    const organizationId = text(fields['organization_id']) ?? session.organizationId;
    if (!mayEnter(person, session, organizationId)) {
      return apiError(403, 'The user is not a member of this organization.', 'organization_not_authorized');
    }
    const demand = steps.demandedOf(person, organizationId, 'refresh');
    if (demand) return demand;
    return json(200, tokensJson(person.user, await sessions.rotate(refreshToken, organizationId)));
  };
}

/** Where `signIn` put somebody they may stay: a test need not seed what it names. */
function mayEnter(person: Person, session: Session, organizationId: string | undefined): boolean {
  if (organizationId === undefined || organizationId === session.named.organizationId) return true;
  return person.memberships.some((membership) => membership.organizationId === organizationId);
}
