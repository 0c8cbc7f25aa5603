import { expect, onTestFinished, test, vi } from 'vitest';
import type { AuthKitConfig } from '../../src/config/index.js';
import { AuthKitError, unavailable } from '../../src/errors.js';
import {
  createRefreshHooks,
  createTokenRefresh,
  isExpired,
  isSessionEnded,
  rememberedFor,
  sessionEnded,
  type RefreshResult,
} from '../../src/session/refresh-at-workos.js';
import { toSession, type Session } from '../../src/session/sealed-session.js';
import { UpstreamError } from '../../src/workos/fetch.js';
import { logLines, messagesOn } from '../support/events.js';

const token = (claims: object) => `x.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.x`;

const FIELDS = {
  accessToken: token({ sid: 'session_1' }),
  refreshToken: 'rt_1',
  user: { id: 'user_1', email: 'ada@example.com' } as Session['user'],
  organizationId: 'org_1',
  impersonator: { email: 'admin@example.com', reason: 'support' },
};
const SESSION = toSession({ ...FIELDS, authenticationMethod: 'Password' }, { data: 1 });
const ABOUT = {
  clientId: 'client_1',
  userId: 'user_1',
  sessionId: 'session_1',
  organizationId: 'org_1',
};

type Hooks = Partial<AuthKitConfig['hooks']>;
type Failure = Parameters<ReturnType<typeof createRefreshHooks>['onFailed']>[0];

const hooksOf = (hooks: Hooks) =>
  createRefreshHooks({ clientId: 'client_1', hooks } as unknown as AuthKitConfig);

test('a refresh is published without tokens, and its tokens are passed to the hook', () => {
  const seen = messagesOn('authkit:refresh');
  const contexts: unknown[] = [];
  const { onRefreshed } = hooksOf({ onSessionRefreshSuccess: (context) => contexts.push(context) });
  onRefreshed(SESSION);
  expect(seen).toEqual([ABOUT]);
  expect(contexts).toEqual([FIELDS]);
});

const answered = (status: number, body: object = {}) =>
  unavailable('WorkOS', { cause: new UpstreamError('status', status, undefined, body) });
const failed = (reason: 'network' | 'timeout' | 'circuit_open') =>
  unavailable('WorkOS', { cause: new UpstreamError(reason, undefined, undefined, undefined) });

test.each<[string, Failure, object]>([
  ['the end of the session', sessionEnded(), { reason: 'session_ended' }],
  [
    'a further step',
    { kind: 'refused', error: new AuthKitError('mfa_challenge', 'a second factor') },
    { reason: 'next_step' },
  ],
  [
    'another refusal',
    { kind: 'refused', error: new AuthKitError('organization_unavailable', 'not a member') },
    { reason: 'refused' },
  ],
  ['an error status', { kind: 'unavailable', error: answered(503) }, { reason: 'status', status: 503 }],
  [
    'a wrong API key',
    { kind: 'unavailable', error: answered(401, { message: 'Unauthorized' }) },
    { reason: 'misconfigured', status: 401 },
  ],
  ['a lost connection', { kind: 'unavailable', error: failed('network') }, { reason: 'network' }],
  ['no answer', { kind: 'unavailable', error: failed('timeout') }, { reason: 'timeout' }],
  [
    'an open circuit breaker',
    { kind: 'unavailable', error: failed('circuit_open') },
    { reason: 'circuit_open' },
  ],
  [
    'an answer that is not accepted',
    { kind: 'unavailable', error: unavailable('WorkOS sent the session of another user') },
    { reason: 'answer' },
  ],
  [
    'an error in this package',
    { kind: 'unavailable', error: unavailable('not refreshed', { cause: new Error('no entropy') }) },
    { reason: 'internal' },
  ],
  [
    'a session that fits in no cookie',
    { kind: 'unavailable', error: new AuthKitError('cookie_too_large', 'too large') },
    { reason: 'internal' },
  ],
])('a refresh that failed because of %s is published with its reason', (_, failure, expected) => {
  const seen = messagesOn('authkit:refresh-failed');
  const contexts: unknown[] = [];
  const { onFailed } = hooksOf({ onSessionRefreshError: (context) => contexts.push(context) });
  onFailed(failure, SESSION);
  const { kind: outcome, error } = failure;
  expect(seen).toEqual([{ ...ABOUT, outcome, code: error.code, status: undefined, ...expected }]);
  expect(contexts).toEqual([{ error, sessionId: 'session_1' }]);
});

test.each<[string, () => unknown, string]>([
  [
    'throws',
    () => {
      throw new TypeError('secret');
    },
    'TypeError',
  ],
  ['rejects', () => Promise.reject(new RangeError('secret')), 'RangeError'],
  [
    'throws a string',
    () => {
      // eslint-disable-next-line @typescript-eslint/only-throw-error -- an application may
      throw 'secret';
    },
    'string',
  ],
])('if a hook %s, the kind of its error is logged, without its message', async (_, hook, kind) => {
  const lines = logLines();
  const { onRefreshed, onFailed } = hooksOf({
    onSessionRefreshSuccess: hook,
    onSessionRefreshError: hook,
  });
  onRefreshed(SESSION);
  onFailed(sessionEnded(), SESSION);
  await new Promise((resolve) => setImmediate(resolve));
  const ofHooks = lines.filter((line) => line.includes('authkit:hook'));
  expect(ofHooks).toHaveLength(2);
  for (const line of ofHooks) {
    expect(line).toContain(JSON.stringify({ failed: kind }));
    expect(line).not.toContain('secret');
  }
});

test('without hooks, a refresh is only published', async () => {
  const lines = logLines();
  const seen = [messagesOn('authkit:refresh'), messagesOn('authkit:refresh-failed')];
  const { onRefreshed, onFailed } = hooksOf({});
  onRefreshed(SESSION);
  onFailed(sessionEnded(), SESSION);
  await new Promise((resolve) => setImmediate(resolve));
  expect(seen.map(({ length }) => length)).toEqual([1, 1]);
  expect(lines.filter((line) => line.includes('authkit:hook'))).toEqual([]);
});

test('the new access token is verified as one that WorkOS has just sent, so its key is fetched if it is unknown', async () => {
  const verified: unknown[][] = [];
  const accessToken = token({ sub: 'user_1' });
  const refresh = createTokenRefresh({
    refresh: () => Promise.resolve({ kind: 'ok', value: { ...FIELDS, accessToken } }),
    verify: (...args) => {
      verified.push(args);
      return Promise.resolve({ kind: 'expired' });
    },
    seal: () => Promise.resolve('sealed'),
    onRefreshed: () => undefined,
    onFailed: () => undefined,
  });
  expect(await refresh(SESSION, undefined)).toMatchObject({ kind: 'refreshed', organization: '' });
  expect(verified).toEqual([[accessToken, true]]);
});

const expiringAt = (exp: unknown) => toSession({ ...FIELDS, accessToken: token({ exp }) }, {});

test.each<[exp: unknown, now: number, expected: boolean]>([
  [100, 99_999, false],
  [100, 100_000, true],
  [100, 100_001, true],
  ['100', 200_000, false],
  [undefined, 200_000, false],
])('a token with exp %j has expired at %i ms: %s', (exp, now, expected) => {
  expect(isExpired(expiringAt(exp), now)).toBe(expected);
});

const refreshed = (exp: unknown): RefreshResult => ({
  kind: 'refreshed',
  organization: '',
  session: expiringAt(exp),
  sealed: 's',
});

test.each<[RefreshResult, number]>([
  [refreshed(300), 290_000],
  [refreshed(71), 61_000],
  [refreshed(69), 60_000],
  [refreshed(1), 60_000],
  [refreshed(undefined), 60_000],
  [sessionEnded(), 60_000],
  [{ kind: 'unavailable', error: unavailable('down') }, 60_000],
])(
  'a refresh result is remembered until its token expires, but at least for a minute (%#)',
  (result, expected) => {
    expect(rememberedFor(result, 10_000)).toBe(expected);
  },
);

test('only a refusal of the session itself ends the session', () => {
  const cause = new AuthKitError('code_exchange_failed', 'invalid_grant');
  expect(sessionEnded(cause).error).toMatchObject({ code: 'unauthenticated', cause });
  expect('cause' in sessionEnded().error).toBe(false);
  expect(isSessionEnded(sessionEnded())).toBe(true);
  const results: RefreshResult[] = [
    refreshed(1),
    { kind: 'refused', error: new AuthKitError('sso_required', 'sso') },
    { kind: 'unavailable', error: new AuthKitError('unauthenticated', 'not a refusal') },
  ];
  expect(results.map(isSessionEnded)).toEqual([false, false, false]);
});

test('the warning about the clock is repeated after a minute by the monotonic clock', async () => {
  // A copy of the module, because the time of the last warning belongs to the process.
  vi.resetModules();
  const { warnAboutClock } = await import('../../src/session/refresh-at-workos.js');
  const monotonic = vi.spyOn(performance, 'now');
  const emit = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
  onTestFinished(() => {
    monotonic.mockRestore();
    emit.mockRestore();
  });
  const warnings: number[] = [];
  for (const time of [5000, 5001, 64_999, 65_000, 65_001, 124_999, 125_000]) {
    monotonic.mockReturnValue(time);
    emit.mockClear();
    warnAboutClock();
    if (emit.mock.calls.length > 0) warnings.push(time);
  }
  expect(warnings).toEqual([5000, 65_000, 125_000]);
  expect(emit.mock.calls[0]).toEqual([
    expect.stringMatching(/access token that has already expired by the clock of this server.+Set the clock/),
    { code: 'AUTHKIT_CLOCK' },
  ]);
});
