import { expect, test } from 'vitest';
import { AuthKitError, type AuthKitErrorCode, unavailable } from '../../src/errors.js';
import { refreshWithin } from '../../src/routes/refresh-session.js';
import type { Authentication } from '../../src/session/authenticate-session.js';
import { type Session, toSession } from '../../src/session/sealed-session.js';
import type { Claims } from '../../src/workos/access-token.js';
import { UpstreamError } from '../../src/workos/fetch.js';

const SESSION = toSession(
  { accessToken: 'access token', refreshToken: 'rt_1', user: { id: 'user_1' } as Session['user'] },
  {},
);

const signedInTo = (organizationId?: string): Authentication => ({
  kind: 'authenticated',
  session: SESSION,
  claims: { sub: 'user_1', org_id: organizationId } as unknown as Claims,
  sealed: 'sealed',
});

const ended = (code: AuthKitErrorCode, isSpent = false): Authentication => ({
  kind: 'ended',
  session: SESSION,
  error: new AuthKitError(code, 'refused by WorkOS'),
  isSpent,
});

/** WorkOS responds with an error status that does not end the session. */
const failed = (status: number | undefined, body: object = {}): Authentication => ({
  kind: 'unavailable',
  error: unavailable('no usable response', { cause: new UpstreamError('status', status, undefined, body) }),
});

/** The browser has to receive new tokens. */
const withTokens = (result: Authentication) => ({ ...result, sealed: 'sealed' }) as Authentication;

/** Refreshes a session whose refreshes have the given results. */
async function outcomeOf(organizationId: string | undefined, ...results: Authentication[]) {
  const requested: (string | undefined)[] = [];
  const refresh = (_session: Session, requestedId: string | undefined) => {
    requested.push(requestedId);
    return Promise.resolve(results[requested.length - 1]!);
  };
  return { requested, ...(await refreshWithin(1000, SESSION, organizationId, { refresh })) };
}

test.each([
  ['the requested organization', 'org_b'],
  ['the organization of the session, if none is requested,', undefined],
])('a refresh for %s succeeds', async (_, organizationId) => {
  const result = signedInTo('org_b');
  expect(await outcomeOf(organizationId, result)).toStrictEqual({ requested: [organizationId], result });
});

test('tokens for a different organization than the requested one are an error, but the browser receives them', async () => {
  const result = signedInTo('org_a');
  expect(await outcomeOf('org_b', result)).toMatchObject({
    result,
    error: { code: 'forbidden', message: expect.stringMatching(/another organization/) as string },
  });
});

test.each(['org_b', undefined])(
  'a session that has ended in the meantime is signed out, for organization %s',
  async (organizationId) => {
    const result: Authentication = { kind: 'anonymous', reason: 'ended', why: 'revoked' };
    expect(await outcomeOf(organizationId, result)).toStrictEqual({ requested: [organizationId], result });
    const refused = ended('unauthenticated');
    expect(await outcomeOf(organizationId, refused)).toStrictEqual({
      requested: [organizationId],
      result: refused,
      error: (refused as { error: AuthKitError }).error,
    });
  },
);

test('if no organization was requested, every refusal ends the session', async () => {
  const result = ended('organization_unavailable');
  expect(await outcomeOf(undefined, result)).toMatchObject({
    result,
    error: { code: 'organization_unavailable' },
  });
});

test('an organization that WorkOS refuses is forbidden, and the session continues', async () => {
  const refused = ended('organization_unavailable');
  const outcome = await outcomeOf('org_b', refused);
  expect(outcome).toMatchObject({
    error: { code: 'forbidden', cause: { code: 'organization_unavailable' } },
  });
  expect(outcome.error?.message).toMatch(/organization/);
  expect(outcome).not.toHaveProperty('result');
});

test('if the organization requires a further step, the error names this step, and the session continues', async () => {
  const step = ended('sso_required');
  expect(await outcomeOf('org_b', step)).toStrictEqual({
    requested: ['org_b'],
    error: (step as { error: AuthKitError }).error,
  });
});

test.each([400, 403, 404, 422])(
  'the status %i for an organization without a known reason is forbidden, and the session continues',
  async (status) => {
    const outcome = await outcomeOf('org_b', failed(status));
    expect(outcome).toMatchObject({ error: { code: 'forbidden' } });
    expect(outcome).not.toHaveProperty('result');
  },
);

test.each([
  ['the status 401', 'org_b', failed(401)],
  ['the status 500', 'org_b', failed(500)],
  ['no response', 'org_b', failed(undefined)],
  ['a refusal of the client', 'org_b', failed(400, { error: 'invalid_client' })],
  ['an error of the store', 'org_b', { kind: 'unavailable', error: unavailable('down') } as const],
  ['the status 403 without an organization', undefined, failed(403)],
])('%s is an outage, during which the session continues', async (_, organizationId, result) => {
  expect(await outcomeOf(organizationId, result)).toStrictEqual({
    requested: [organizationId],
    error: (result as { error: AuthKitError }).error,
  });
});

test.each(['org_b', undefined])(
  'new tokens that cannot be verified are an error, but the browser receives them, for organization %s',
  async (organizationId) => {
    const result = withTokens({ kind: 'unavailable', error: unavailable('no keys') });
    expect(await outcomeOf(organizationId, result)).toMatchObject({
      result,
      error: { code: 'upstream_unavailable' },
    });
  },
);

test.each([
  ['refuses the organization', ended('organization_unavailable', true), 'forbidden'],
  ['requires a further step', ended('mfa_challenge', true), 'mfa_challenge'],
  ['responds with 403', withTokens(failed(403)), 'forbidden'],
])(
  'if WorkOS %s after it has issued tokens for it, the session continues with tokens for its own organization',
  async (_, refusal, code) => {
    const result = signedInTo('org_a');
    expect(await outcomeOf('org_b', refusal, result)).toMatchObject({
      requested: ['org_b', undefined],
      result,
      error: { code },
    });
  },
);

test('a refresh that takes longer than the request may wait is upstream_unavailable', async () => {
  const refresh = () => new Promise<never>(() => undefined);
  expect(await refreshWithin(1, SESSION, 'org_b', { refresh })).toEqual({
    error: expect.objectContaining({ code: 'upstream_unavailable' }) as AuthKitError,
  });
});
