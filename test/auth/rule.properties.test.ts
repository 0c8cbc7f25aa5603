import { describe, expect, test } from 'vitest';
import { compileRule, type Rule, type Subject } from '../../src/auth/role-and-permission-rule.js';
import { fc, LONG } from '../support/properties.js';

describe('rules', () => {
  const WORDS = ['a', 'b', 'ab', 'admin', 'a:read'];
  const word = fc.constantFrom(...WORDS);
  const words = fc.uniqueArray(word, { minLength: 1 });
  const wanted = fc.oneof(
    word,
    words,
    words.map((any) => ({ any })),
  );
  const rule: fc.Arbitrary<Rule> = fc.record(
    {
      role: wanted,
      permission: wanted,
      entitlement: wanted,
      featureFlag: wanted,
      organization: fc.oneof(fc.constant(true as const), word),
    },
    { requiredKeys: [] },
  );
  const list = fc.uniqueArray(word);
  const subject: fc.Arbitrary<Subject> = fc.record({
    organizationId: fc.option(word, { nil: undefined }),
    role: fc.option(word, { nil: undefined }),
    roles: list,
    permissions: list,
    entitlements: list,
    featureFlags: list,
    impersonator: fc.constant(undefined),
  });

  /** An independent implementation of the same rule. */
  function model(asked: Rule, who: Subject): boolean {
    const held: Record<string, readonly string[]> = {
      role: [...who.roles, ...(who.role === undefined ? [] : [who.role])],
      permission: who.permissions,
      entitlement: who.entitlements,
      featureFlag: who.featureFlags,
    };
    return Object.entries(asked).every(([key, value]) => {
      if (key === 'organization')
        return value === true ? who.organizationId !== undefined : value === who.organizationId;
      const has = new Set(held[key]);
      if (typeof value === 'string') return has.has(value);
      return Array.isArray(value)
        ? value.filter((one: string) => !has.has(one)).length === 0
        : (value as { any: string[] }).any.filter((one) => has.has(one)).length > 0;
    });
  }

  test("a guard's decision depends only on the rule and the request's claims", LONG, () => {
    fc.assert(
      fc.property(rule, fc.array(subject, { minLength: 1, maxLength: 5 }), (asked, people) => {
        const judge = compileRule(asked);
        const expected = people.map((who) => model(asked, who));
        expect(people.map(judge)).toEqual(expected);
        // Repeated in reverse order, because the guard must not have any state.
        expect([...people].reverse().map(judge).reverse()).toEqual(expected);
      }),
    );
  });
});
