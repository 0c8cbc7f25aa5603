import { describe, expect, test } from 'vitest';
import { requireAuth, signedIn, type GuardRule, type Rule } from 'authkit-express';
import type { TestSignIn } from 'authkit-express/testing';
import { FETCH, send } from '../support/browser.js';
import { json, createTestApp, ADA } from '../support/app.js';

const ORGANIZATION = 'org_01RULES';

interface Demand {
  rule: GuardRule;
  /** Claims of a session that meets the condition, and of one that almost does. */
  met: TestSignIn;
  missed: TestSignIn;
}

/** Each condition by itself, with a session that meets it and one that has the same text in a different claim. */
const DEMANDS: Record<string, Demand> = {
  role: {
    rule: { role: { any: ['owner', 'admin'] } },
    met: { role: 'admin' },
    missed: { role: 'administrator' },
  },
  permission: {
    rule: { permission: ['billing:read', 'billing:write'] },
    met: { permissions: ['billing:read', 'billing:write', 'other'] },
    missed: { permissions: ['billing:read', 'billing:writes'] },
  },
  organization: {
    rule: { organization: ORGANIZATION },
    met: { organizationId: ORGANIZATION },
    missed: { organizationId: `${ORGANIZATION}X` },
  },
  entitlement: {
    rule: { entitlement: 'audit-logs' },
    met: { entitlements: ['audit-logs'] },
    missed: { entitlements: ['audit-log'] },
  },
  featureFlag: {
    rule: { featureFlag: { any: ['beta', 'gamma'] } },
    met: { featureFlags: ['gamma'] },
    missed: { featureFlags: ['beta,gamma'] },
  },
  impersonation: {
    rule: { impersonation: false },
    met: {},
    missed: { impersonator: { email: 'staff@example.com' } },
  },
  check: {
    rule: { check: (auth) => auth.type === 'session' && auth.claims['plan'] === 'pro' },
    met: { claims: { plan: 'pro' } },
    missed: { claims: { plan: 'prone' } },
  },
};

const NAMES = Object.keys(DEMANDS);

const isIn = (set: number, index: number) => (set & (1 << index)) !== 0;

const SETS = Array.from({ length: 1 << NAMES.length }, (_, set) => set);

const ALL = SETS.length - 1;

function ruleOf(set: number): GuardRule {
  return Object.assign({}, ...NAMES.map((name, i) => (isIn(set, i) ? DEMANDS[name]!.rule : {}))) as GuardRule;
}

function sessionOf(met: number): TestSignIn {
  const parts = NAMES.map((name, i) => (isIn(met, i) ? DEMANDS[name]!.met : DEMANDS[name]!.missed));
  return Object.assign({}, ...parts) as TestSignIn;
}

test('a request passes if and only if it meets every condition of the rule', async () => {
  let called: number | undefined;
  const { origin, cookie } = await createTestApp('express5', {
    routes: (app) => {
      for (const set of SETS) {
        app.route(`/rule/${set}`, requireAuth(ruleOf(set)), (_req, res) => {
          called = set;
          json(res, {});
        });
      }
    },
  });
  // Users who meet all conditions, no condition, all but one, and only one.
  const alone = NAMES.map((_, i) => 1 << i);
  const people = [ALL, 0, ...alone.map((one) => ALL & ~one), ...alone];
  let passed = 0;
  for (const met of people) {
    const headers = { ...FETCH, cookie: await cookie(sessionOf(met)) };
    await Promise.all(
      [0, 1, 2, 3].map(async (lane) => {
        for (const set of SETS.filter((one) => one % 4 === lane)) {
          const reply = await send(`${origin}/rule/${set}`, { headers });
          const isMet = (set & ~met) === 0;
          expect(reply.status, JSON.stringify({ rule: Object.keys(ruleOf(set)), met })).toBe(
            isMet ? 200 : 403,
          );
          if (isMet) passed += 1;
        }
      }),
    );
  }
  // Computed independently: a user who meets n conditions passes 2^n rules.
  expect(passed).toBe(2 ** 7 + 1 + 7 * 2 ** 6 + 7 * 2);
  expect(called).toBeDefined();
});

test('a request that is refused does not reach its handler', async () => {
  const reached: number[] = [];
  const { origin, cookie } = await createTestApp('express5', {
    routes: (app) => {
      for (const set of SETS) {
        app.route(`/rule/${set}`, requireAuth(ruleOf(set)), (_req, res) => {
          reached.push(set);
          json(res, {});
        });
      }
    },
  });
  const nobody = await cookie(sessionOf(0));
  for (const headers of [{ ...FETCH, cookie: nobody }, FETCH])
    for (const set of SETS) await send(`${origin}/rule/${set}`, { headers });
  expect(reached).toEqual([0]);
});

test('req.auth.has agrees with a guard for every rule and every principal', async () => {
  const rules = SETS.map(ruleOf).filter((rule) => rule.check === undefined) as Rule[];
  const answers: boolean[][] = [];
  const { origin, cookie } = await createTestApp('express5', {
    routes: (app) => {
      app.route('/has', requireAuth(), (req, res) => {
        const auth = signedIn(req);
        answers.push(rules.map((rule) => auth.has(rule)));
        json(res, {});
      });
    },
  });
  const people = SETS.filter((met) => isIn(met, NAMES.indexOf('check')));
  for (const met of people)
    await send(`${origin}/has`, { headers: { cookie: await cookie(sessionOf(met)) } });
  expect(answers).toEqual(
    people.map((met) =>
      SETS.filter((set) => ruleOf(set).check === undefined).map((set) => (set & ~met) === 0),
    ),
  );
});

describe('values are compared as a whole', () => {
  const held = ['a', 'b'];
  const table: [Rule['permission'] & {}, boolean][] = [
    ['a', true],
    ['ab', false],
    ['A', false],
    [['a', 'b'], true],
    [['b', 'a'], true],
    [['a', 'c'], false],
    [{ any: ['c', 'a'] }, true],
    [{ any: ['c', 'd'] }, false],
    ['a,b', false],
    ['__proto__', false],
    ['length', false],
  ];
  test.each(['permission', 'entitlement', 'featureFlag', 'role'] as const)('%s', async (key) => {
    const outcomes: boolean[] = [];
    const { origin, cookie } = await createTestApp('express5', {
      routes: (app) => {
        app.route('/has', requireAuth(), (req, res) => {
          for (const [wanted] of table) outcomes.push(signedIn(req).has({ [key]: wanted }));
          json(res, {});
        });
      },
    });
    const session = { permissions: held, entitlements: held, featureFlags: held, roles: held };
    await send(`${origin}/has`, { headers: { cookie: await cookie(session) } });
    expect(outcomes).toEqual(table.map(([, expected]) => expected));
  });
});

test.each([
  [{ rle: 'admin' }, /unknown rule "rle"/],
  [{ role: undefined }, /"role" is undefined/],
  [{ role: '' }, /"role"/],
  [{ role: [] }, /"role"/],
  [{ role: { any: [] } }, /"role"/],
  [{ role: { any: ['a'], all: ['b'] } }, /"role"/],
  [{ role: ['a', 1] }, /"role"/],
  [{ role: null }, /"role"/],
  [{ permission: true }, /"permission"/],
  [{ organization: false }, /"organization"/],
  [{ organization: '' }, /"organization"/],
  [{ maxAge: -1 }, /"maxAge"/],
  [{ maxAge: NaN }, /"maxAge"/],
  [{ maxAge: '60' }, /"maxAge"/],
  [{ maxAge: undefined }, /"maxAge" is undefined/],
  [{ impersonation: 'no' }, /"impersonation"/],
  [{ check: 'yes' }, /"check"/],
  [{ accepts: [] }, /"accepts"/],
  [{ accepts: 'bearer' }, /"accepts"/],
  [{ accepts: ['cookie'] }, /"accepts"/],
  [{ accepts: ['machine'] }, /"accepts"/],
  [{ unauthenticated: 'login' }, /"unauthenticated"/],
  [{ sameOrigin: 'https://app.example.com' }, /"sameOrigin"/],
  [{ sameOrigin: ['https://app.example.com/'] }, /"sameOrigin"/],
  [{ sameOrigin: ['null'] }, /"sameOrigin"/],
  [{ accepts: ['apiKey'], role: 'admin' }, /"role" is about users/],
  [{ accepts: ['apiKey'], maxAge: 60 }, /"maxAge" is about users/],
  [{ accepts: ['apiKey'], impersonation: false }, /"impersonation" is about users/],
  [{ accepts: ['bearer'], sameOrigin: true }, /"sameOrigin" is about cookies/],
  [{ accepts: ['bearer', 'apiKey'], unauthenticated: 'redirect' }, /redirects to sign-in/],
  ['admin', /a rule must be a plain object or a function/],
  [null, /a rule must be a plain object or a function/],
  [['admin'], /a rule must be a plain object or a function/],
])('a rule that makes no sense throws where the route is defined: %j', (rule, message) => {
  expect(() => requireAuth(rule as never)).toThrow(message);
  expect(() => requireAuth(rule as never)).toThrow(TypeError);
});

test('changing a rule object later has no effect', async () => {
  const rule = { permission: ['a'], sameOrigin: true as const };
  const { origin, cookie, served } = await createTestApp('express5', { rule });
  rule.permission.pop();
  rule.permission.push('b');
  const headers = { ...FETCH, cookie: await cookie({ permissions: ['b'] }) };
  expect((await send(`${origin}/account`, { headers })).status).toBe(403);
  expect(served()).toBe(0);
});

test('T23 all conditions of a rule have to hold, with whole values, and a meaningless rule throws', async () => {
  const organizations = [{ id: 'org_1', name: 'One' }];
  for (const [role, permissions, expected] of [
    ['admin', ['a:read', 'a:write'], 200],
    ['admin', ['a:read'], 403],
    ['member', ['a:read', 'a:write'], 403],
    ['member', [], 403],
    ['superadmin', ['a:read', 'a:writes'], 403],
  ] as const) {
    const { origin, cookie } = await createTestApp('express5', {
      rule: { role: 'admin', permission: ['a:read', 'a:write'] },
      workos: {
        organizations,
        users: [
          { email: ADA, memberships: [{ organizationId: 'org_1', role, permissions: [...permissions] }] },
        ],
      },
    });
    const session = await cookie({ user: ADA, organizationId: 'org_1' });
    expect(
      (await send(`${origin}/account`, { headers: { ...FETCH, cookie: session } })).status,
      `${role} ${permissions.join()}`,
    ).toBe(expected);
  }
  for (const rule of [
    { roles: 'admin' },
    { permission: [] },
    { role: '' },
    { organization: '' },
    { role: undefined },
    { role: { any: [] } },
  ])
    expect(() => requireAuth(rule as GuardRule)).toThrow(TypeError);
});
