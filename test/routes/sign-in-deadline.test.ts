import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { AuthKitConfig } from '../../src/config/index.js';
import { Deadline, withDeadline } from '../../src/deadline.js';
import { unavailable } from '../../src/errors.js';
import { createSaveAttributes } from '../../src/routes/sign-up.js';
import { createSessions, type SessionsDependencies } from '../../src/session/create-and-end.js';
import { toSession, type Session } from '../../src/session/sealed-session.js';
import type { Tokens, WorkOSClient } from '../../src/workos/api-client.js';
import { createTestApp } from '../support/app.js';

const NEW = 'new@example.com';

const TIMEOUT = 1000;

/** How long everything may take, in milliseconds of a clock that the test advances. */
const IN_TIME = 2 * TIMEOUT;

/** Longer than any test, in milliseconds. */
const HANGS = 2 ** 30;

const after = <T>(ms: number, value: T) => new Promise<T>((resolve) => setTimeout(resolve, ms, value));

describe('19B the deadline of a sign-in', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /** What a promise settles with, if it does so within this many milliseconds and a few for rounding. */
  async function within<T>(ms: number, promise: Promise<T>): Promise<T | 'late'> {
    const outcome = withDeadline(
      ms + 5,
      promise.then(
        (value) => ({ value }),
        (error: unknown) => ({ value: error as T }),
      ),
    );
    await vi.advanceTimersByTimeAsync(ms + 5);
    return (await outcome)?.value ?? 'late';
  }

  test('does not include the code of the application', async () => {
    const deadline = new Deadline(1000);
    const own = deadline.exclude(after(5000, 'done'));
    await vi.advanceTimersByTimeAsync(5000);
    expect(await own).toBe('done');
    expect(deadline.left()).toBe(1000);
    const failing = deadline.exclude(after(300, 0).then(() => Promise.reject(new Error('no'))));
    failing.catch(() => undefined);
    await vi.advanceTimersByTimeAsync(400);
    await expect(failing).rejects.toThrow('no');
    expect(deadline.left()).toBe(900);
  });

  const tokens = {
    accessToken: 'old',
    refreshToken: 'rt_1',
    organizationId: 'org_1',
    user: { id: 'user_1' },
  } as Tokens;
  const membership = {
    id: 'om_1',
    createdAt: new Date(1000).toISOString(),
    role: { slug: 'member' },
  };

  /** Saves attributes at a WorkOS whose calls take this long, in milliseconds. */
  function saving(delays: { user?: number; role?: number; refresh?: number }) {
    const { user = 0, role = 0, refresh = 0 } = delays;
    const called: string[] = [];
    const later = <T>(name: string, ms: number, value: T) => {
      called.push(name);
      return after(ms, value);
    };
    const userManagement = {
      updateUser: () => later('user', user, { id: 'user_1', name: 'Ada' }),
      listOrganizationMemberships: () => later('memberships', role, { data: [membership] }),
      updateOrganizationMembership: () => later('role', role, membership),
    };
    const workos = {
      call: async (call: (workos: unknown) => Promise<unknown>) => ({
        kind: 'ok',
        value: await call({ userManagement }),
      }),
      refresh: () => later('refresh', refresh, { kind: 'ok', value: { ...tokens, accessToken: 'new' } }),
    } as unknown as WorkOSClient;
    const signUp = { save: true, roles: ['editor'], metadata: [], defaultRole: undefined };
    const save = createSaveAttributes({ signUp, timeout: TIMEOUT } as unknown as AuthKitConfig, workos);
    const attributes = { displayName: 'Ada', role: 'editor' };
    const saved = save(tokens, { attributes, from: 'app', startedAt: 0 }, new Deadline(IN_TIME));
    return { saved, called };
  }

  test('is enough to save attributes and to get a token with the role', async () => {
    const { saved, called } = saving({ user: 100, role: 100, refresh: 100 });
    expect(await within(IN_TIME, saved)).toMatchObject({ accessToken: 'new', user: { name: 'Ada' } });
    expect(called).toEqual(['user', 'memberships', 'role', 'refresh']);
  });

  test.each([
    ['the user', { user: HANGS }, { accessToken: 'old', user: { id: 'user_1' } }],
    ['the role', { role: HANGS }, { accessToken: 'old', user: { name: 'Ada' } }],
    ['both', { user: 900, role: 900 }, { accessToken: 'old', user: { name: 'Ada' } }],
  ])('passes while %s is saved: the sign-in continues with what it has', async (_, delays, expected) => {
    const { saved, called } = saving(delays);
    // The rest is left for the keys and the store.
    expect(await within(IN_TIME - TIMEOUT / 2, saved)).toMatchObject(expected);
    expect(called).not.toContain('refresh');
  });

  test('leaves a refresh its whole time once it has begun, because it replaces the tokens', async () => {
    const { saved } = saving({ role: 200, refresh: 990 });
    expect(await within(IN_TIME, saved)).toMatchObject({ accessToken: 'new' });
  });

  const session = (refreshToken: string): Session =>
    toSession({ accessToken: 'x.e30.x', refreshToken, user: { id: 'user_1' } as Session['user'] }, {});

  /** Creates a session in a store whose calls take this long, in milliseconds. */
  function creating(delays: { create?: number; reopen?: number; open?: number; delete?: number }) {
    const replaced: Session[] = [];
    const dependencies = {
      storage: {
        create: () => after(delays.create ?? 0, 'value'),
        open: () => after(delays.open ?? 0, session('earlier')),
        delete: () => after(delays.delete ?? 0, undefined),
      },
      revocation: {
        reopenSession: () => after(delays.reopen ?? 0, true),
        endSession: () => after(delays.delete ?? 0, true),
      },
      refresh: {
        markReplaced: (earlier: Session) => void replaced.push(earlier),
        successorOf: () => undefined,
      },
    };
    const { create } = createSessions(dependencies as unknown as SessionsDependencies);
    return { created: create(session('new'), ['earlier'], new Deadline(1000), undefined), replaced };
  }

  test.each([
    ['written', { create: 2000 }],
    ['written after another call', { create: 600, reopen: 600 }],
  ])('passes while the session is %s: the sign-in fails, and no cookie is set', async (_, delays) => {
    const { created } = creating(delays);
    expect(await within(1000, created)).toMatchObject({ code: unavailable('').code });
  });

  test.each([
    ['read', { open: 2000 }],
    ['deleted', { open: 100, delete: 2000 }],
  ])('passes while the earlier session is %s: that continues after the response', async (_, delays) => {
    const { created, replaced } = creating(delays);
    expect(await within(1000, created)).toBe('value');
    await vi.advanceTimersByTimeAsync(5000);
    expect(replaced.map(({ refreshToken }) => refreshToken)).toEqual(['earlier']);
  });
});

test('19B a first sign-in with a slow WorkOS does not wait for a token with the saved role', async () => {
  const timeout = 1500;
  const at = await createTestApp('express5', {
    authkit: { timeout, signUp: { save: true, roles: ['editor'] } },
    workos: {
      organizations: [{ id: 'org_1', name: 'Acme' }],
      users: [{ email: NEW, memberships: [{ organizationId: 'org_1' }] }],
    },
  });
  const away = await at.browser.go(`${at.origin}/login?displayName=Ada&role=editor`);
  const back = await at.workos.authorize(away.location!, { user: NEW });
  // WorkOS reports this sign-in as the user's first.
  at.workos.fail({
    on: 'authenticate',
    times: 1,
    alter: (body) => ({ ...body, user: { ...(body['user'] as object), last_sign_in_at: null } }),
  });
  for (const on of ['updateUser', 'memberships', 'refresh'] as const)
    at.workos.fail({ on, delay: timeout * 0.9 });
  const reply = await at.browser.go(back);
  expect(reply.status).toBe(302);
  // The update of the user and the search for the membership have used up the time for a refresh.
  expect(at.workos.callsTo('refresh')).toEqual([]);
  at.workos.recover();
});
