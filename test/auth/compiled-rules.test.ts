import type { IncomingMessage } from 'node:http';
import { describe, expect, test } from 'vitest';
import { compileRule, itemsOf, ownEntriesOf, type Subject } from '../../src/auth/role-and-permission-rule.js';
import { type AcceptedTypes, compileGuardRule, isAge } from '../../src/auth/guard-options.js';
import type { Principal } from '../../src/auth/principal.js';

const GUARD: AcceptedTypes = { supported: ['session', 'bearer', 'apiKey'], defaults: ['session'] };
const RESOURCE: AcceptedTypes = { supported: ['bearer', 'machine', 'apiKey'], defaults: ['bearer'] };
const REQUEST = {} as unknown as IncomingMessage;

const NO_ONE: Subject = {
  organizationId: undefined,
  role: undefined,
  roles: [],
  permissions: [],
  entitlements: [],
  featureFlags: [],
  impersonator: undefined,
};

/** The message of the error that a rule causes. */
function messageOf(rule: unknown, types = GUARD): string {
  try {
    compileGuardRule(rule, types);
    return 'no error';
  } catch (error) {
    expect(error).toBeInstanceOf(TypeError);
    return (error as Error).message;
  }
}

const VALUES = 'must be a string, a list of strings, or { any: [...] }';
const NOT_PLAIN = 'a rule must be a plain object or a function';
const insteadWrite = (rule: string) => `${NOT_PLAIN}, as in requireAuth({ ${rule} })`;
const UNAUTHENTICATED = 'rule "unauthenticated" must be "redirect", "respond" or a function';
const ORIGINS =
  'rule "sameOrigin" must be true, false or a list of origins, such as "https://app.example.com"';

test.each<[unknown, string]>([
  [undefined, 'the rule is undefined: is its name misspelt? Leave the argument out to accept every user'],
  [null, insteadWrite("role: 'admin'")],
  [1, insteadWrite("role: 'admin'")],
  ['', insteadWrite("role: 'admin'")],
  ['two words', insteadWrite("role: 'admin'")],
  ['owner', insteadWrite("role: 'owner'")],
  ['billing:read', insteadWrite("permission: 'billing:read'")],
  ['org_1', insteadWrite("organization: 'org_1'")],
  ['xorg_1', insteadWrite("role: 'xorg_1'")],
  ['x'.repeat(64), insteadWrite(`role: '${'x'.repeat(64)}'`)],
  ['x'.repeat(65), insteadWrite("role: 'admin'")],
  [[], insteadWrite("role: 'admin'")],
  [['owner', 1], insteadWrite("role: 'admin'")],
  [['owner'], insteadWrite("role: ['owner']")],
  [['owner', 'editor'], insteadWrite("role: ['owner', 'editor']")],
  [['a.b:read', 'b-c:write'], insteadWrite("permission: ['a.b:read', 'b-c:write']")],
  [['org_1', 'org_2'], insteadWrite("organization: 'org_1'")],
  [new Map(), insteadWrite("role: 'admin'")],
  [Promise.resolve({}), `${NOT_PLAIN}, and this is a promise: await it first`],
  [
    new Proxy({}, {}),
    `${NOT_PLAIN}, and this is a Proxy, whose keys cannot be relied on: copy it into an object`,
  ],
  [{ [Symbol('x')]: 1 }, 'the key Symbol(x) of a rule is a symbol: use a string'],
  [
    Object.defineProperty({}, 'role', { value: 'admin' }),
    'rule "role" is not enumerable: write it in an object literal',
  ],
  [{ role: undefined }, 'rule "role" is undefined: leave it out, or set it to what it requires'],
  [{ [`x${'y'.repeat(99)}`]: 1 }, expect.stringContaining(`unknown rule "x${'y'.repeat(63)}": `) as string],
  [{ role: 1 }, `rule "role" ${VALUES}`],
  [{ permission: [''] }, `rule "permission" ${VALUES}`],
  [{ entitlement: ['a', 1] }, `rule "entitlement" ${VALUES}`],
  [{ featureFlag: [] }, `rule "featureFlag" ${VALUES}`],
  [{ role: { any: 'admin' } }, `rule "role" ${VALUES}`],
  [{ role: { any: ['admin'] } }, 'no error'],
  [{ role: { any: ['a'], all: [] } }, `rule "role" ${VALUES}`],
  [{ organization: 1 }, 'rule "organization" must be true or the id of an organization'],
  [{ organization: '' }, 'rule "organization" must be true or the id of an organization'],
  [{ impersonation: 1 }, 'rule "impersonation" must be true or false'],
  [{ maxAge: '1' }, 'rule "maxAge" must be a number of seconds'],
  [{ unauthenticated: 'page' }, UNAUTHENTICATED],
  [{ unauthenticated: null }, UNAUTHENTICATED],
  [{ unauthenticated: 'redirect' }, 'no error'],
  [{ unauthenticated: 'respond' }, 'no error'],
  [{ unauthenticated: () => undefined }, 'no error'],
  [{ sameOrigin: 'https://a.example' }, ORIGINS],
  [{ sameOrigin: null }, ORIGINS],
  [{ sameOrigin: ['https://a.example', 'https://a.example/'] }, ORIGINS],
  [{ sameOrigin: ['a.example'] }, ORIGINS],
  [{ sameOrigin: ['null'] }, ORIGINS],
  // Their origin is the text "null", which every sandboxed page has.
  [{ sameOrigin: ['data:x'] }, ORIGINS],
  [{ sameOrigin: [1] }, ORIGINS],
  [{ sameOrigin: [['https://a.example']] }, ORIGINS],
  [{ sameOrigin: [] }, 'no error'],
  [{ sameOrigin: ['https://a.example', 'http://localhost:3000'] }, 'no error'],
  [{ check: 'yes' }, 'rule "check" must be a function'],
  [{ check: () => true }, 'no error'],
  [{ accepts: [] }, 'rule "accepts" must be a list of session, bearer, apiKey'],
  [{ accepts: 'session' }, 'rule "accepts" must be a list of session, bearer, apiKey'],
  [{ accepts: ['session', 'sso'] }, 'rule "accepts" must be a list of session, bearer, apiKey'],
  [{ accepts: Array(1) }, 'rule "accepts" must be a list of session, bearer, apiKey'],
  [
    { accepts: ['bearer'], sameOrigin: false },
    'rule "sameOrigin" is about cookies, and "accepts" does not list "session"',
  ],
  [
    { accepts: ['bearer'], unauthenticated: 'redirect' },
    'rule "unauthenticated" redirects to sign-in, and "accepts" does not list "session"',
  ],
  [{ accepts: ['bearer'], unauthenticated: 'respond' }, 'no error'],
])('the rule %o: %s', (rule, message) => {
  expect(messageOf(rule)).toEqual(message);
});

describe('conditions that no accepted principal can meet', () => {
  const aboutUsers = (key: string) => `rule "${key}" is about users, and "accepts" lists no type with a user`;
  const RULES = {
    role: 'admin',
    entitlement: 'x',
    featureFlag: 'x',
    impersonation: false,
    maxAge: 60,
    permission: 'x',
    organization: true,
  };

  test.each<[accepts: string[], never: string[]]>([
    [['apiKey'], ['role', 'entitlement', 'featureFlag', 'impersonation', 'maxAge']],
    [['machine'], ['impersonation', 'maxAge']],
    [
      ['apiKey', 'machine'],
      ['impersonation', 'maxAge'],
    ],
    [['apiKey', 'bearer'], []],
    [['bearer'], []],
  ])('of a guard that accepts %j: %j', (accepts, never) => {
    for (const [key, value] of Object.entries(RULES))
      expect(messageOf({ accepts, [key]: value }, RESOURCE)).toBe(
        never.includes(key) ? aboutUsers(key) : 'no error',
      );
  });
});

test('what a guard accepts, its origins and its other settings', () => {
  const compiled = (rule: unknown, types = GUARD) => {
    const { accepts, sameOrigin, unauthenticated, maxAge } = compileGuardRule(rule, types);
    return { accepts: [...accepts], sameOrigin, unauthenticated, maxAge };
  };
  const none = { sameOrigin: undefined, unauthenticated: undefined, maxAge: undefined };
  expect(compiled({})).toEqual({ ...none, accepts: ['session', 'sso'] });
  expect(compiled({}, RESOURCE)).toEqual({ ...none, accepts: ['bearer'] });
  expect(compiled({ accepts: ['apiKey'] })).toEqual({ ...none, accepts: ['apiKey'] });
  expect(compiled({ accepts: ['bearer', 'session'], maxAge: 0, unauthenticated: 'respond' })).toEqual({
    accepts: ['bearer', 'session', 'sso'],
    sameOrigin: undefined,
    unauthenticated: 'respond',
    maxAge: 0,
  });
  for (const [given, origins] of [
    [true, []],
    [false, undefined],
    [[], []],
    [['https://a.example'], ['https://a.example']],
  ])
    expect(compiled({ sameOrigin: given }).sameOrigin).toEqual(origins);
  expect([0, 60, 0.5, -1, NaN, Infinity, '60', undefined].map(isAge)).toEqual([
    ...[true, true, true],
    ...[false, false, false, false, false],
  ]);
});

test('the lists of a rule are copies', () => {
  const accepts = ['bearer'];
  const origins = ['https://a.example'];
  const values = ['a'];
  const one = compileGuardRule({ accepts }, GUARD);
  const two = compileGuardRule({ sameOrigin: origins, permission: values }, GUARD);
  accepts.push('apiKey');
  origins.push('https://b.example');
  values.pop();
  expect([...one.accepts]).toEqual(['bearer']);
  expect(two.sameOrigin).toEqual(['https://a.example']);
  expect(two.test(NO_ONE as Principal, REQUEST)).toEqual({ permission: ['a'] });
  expect(itemsOf(Array(2))).toEqual([undefined, undefined]);
  for (const other of [undefined, 'ab', { length: 1 }, new Set(['a']), new Proxy(['a'], {})])
    expect(itemsOf(other)).toBeUndefined();
});

test('a function is a check, and an organization can depend on the request', async () => {
  const member = { ...NO_ONE, organizationId: 'org_1' } as Principal;
  const test = (rule: unknown, principal = member, req = REQUEST) =>
    compileGuardRule(rule, GUARD).test(principal, req);
  const seen: unknown[] = [];
  const check = (...args: unknown[]) => {
    seen.push(args);
    return true;
  };
  expect(test(check)).toBe('holds');
  expect(seen).toEqual([[member, REQUEST]]);
  expect(await test(() => Promise.resolve(true))).toBe('holds');
  expect(await test(() => Promise.resolve('true'))).toEqual({ check: 'anonymous' });
  expect([null, 1, 'true', {}, undefined].map((value) => test(() => value))).toEqual(
    Array(5).fill({ check: 'anonymous' }),
  );
  const organization = (req: IncomingMessage) => req.url;
  const failed = { organization: 'organization' };
  const at = (url: string | undefined) => ({ url }) as unknown as IncomingMessage;
  expect(test({ organization }, member, at('org_1'))).toBe('holds');
  expect(test({ organization }, member, at('org_2'))).toEqual(failed);
  expect(test({ organization }, member, at(undefined))).toEqual(failed);
  expect(test({ organization }, NO_ONE as Principal, at(undefined))).toEqual(failed);
  expect(test({ organization: 'org_1' })).toBe('holds');
  expect(test({ organization: 'org_2' })).toEqual({ organization: 'org_2' });
  expect(test({ organization: true }, NO_ONE as Principal)).toEqual({ organization: true });
  // The check is not called if another condition already fails.
  seen.length = 0;
  expect(test({ role: 'admin', check })).toEqual({ role: 'admin' });
  expect(test({ organization, check }, member, at('org_2'))).toEqual(failed);
  expect(seen).toEqual([]);
});

test('the condition that fails is shown as it was written, and cannot be changed', () => {
  const role = { any: ['a', 'b'] };
  const permission = ['c', 'd'];
  const failedBy = (subject: Partial<Subject>) =>
    compileGuardRule({ role, permission, impersonation: false }, GUARD).test(
      { ...NO_ONE, ...subject } as Principal,
      REQUEST,
    ) as { role?: { any: string[] }; permission?: string[] };
  const byRole = failedBy({});
  const byPermission = failedBy({ role: 'a' });
  role.any.push('x');
  permission.pop();
  expect(byRole).toEqual({ role: { any: ['a', 'b'] } });
  expect(byPermission).toEqual({ permission: ['c', 'd'] });
  for (const value of [byRole, byRole.role, byRole.role?.any, byPermission, byPermission.permission])
    expect(Object.isFrozen(value)).toBe(true);
  const impersonator = { email: 'staff@example.com', reason: null };
  const others = { role: 'a', permissions: ['c', 'd'], impersonator };
  permission.push('d');
  expect(failedBy(others)).toEqual({ impersonation: false });
});

test('a function in a rule is shown by its name', () => {
  const nameOf = (name: unknown) => {
    const check = () => false;
    Object.defineProperty(check, 'name', { value: name });
    const result = compileGuardRule({ check }, GUARD).test(NO_ONE as Principal, REQUEST);
    expect(Object.isFrozen(result)).toBe(true);
    return (result as { check: unknown }).check;
  };
  expect(['ownsProject', '', 7, undefined, 'x'.repeat(65)].map(nameOf)).toEqual([
    'ownsProject',
    ...Array<string>(3).fill('anonymous'),
    'x'.repeat(64),
  ]);
  const rule = { organization: Object.defineProperty(() => undefined, 'name', { value: '' }) };
  const failed = compileGuardRule(rule, GUARD).test(NO_ONE as Principal, REQUEST);
  expect(failed).toEqual({ organization: 'anonymous' });
  expect(Object.isFrozen(failed)).toBe(true);
});

test('the conditions of a rule', () => {
  const holds = (rule: object, subject: Partial<Subject>) => compileRule(rule)({ ...NO_ONE, ...subject });
  expect(holds({}, {})).toBe(true);
  expect(holds({ role: 'a' }, { role: 'a' })).toBe(true);
  expect(holds({ role: ['a', 'b'] }, { role: 'a', roles: ['b'] })).toBe(true);
  expect(holds({ role: 'a' }, { roles: ['a'] })).toBe(true);
  expect(holds({ role: { any: ['b', 'c'] } }, { role: 'c' })).toBe(true);
  expect(holds({ role: ['a', 'b'] }, { role: 'a' })).toBe(false);
  expect(holds({ role: { any: ['b', 'c'] } }, { role: 'a' })).toBe(false);
  expect(holds({ role: 'a', permission: 'b' }, { role: 'a' })).toBe(false);
  expect(holds({ organization: true }, { organizationId: 'org_1' })).toBe(true);
  const impersonator = { email: 'staff@example.com', reason: null };
  expect(holds({ impersonation: false }, { impersonator })).toBe(false);
  expect(holds({ impersonation: false }, {})).toBe(true);
  expect(holds({ impersonation: true }, { impersonator })).toBe(true);
  expect(() => compileRule({ maxAge: 60 })).toThrow('unknown rule "maxAge": the rules are role, ');
  expect(Object.getPrototypeOf(ownEntriesOf({ role: 'a' }))).toBeNull();
});
