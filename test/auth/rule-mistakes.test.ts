import { describe, expect, test } from 'vitest';
import { authkit, protectedResource, requireAuth, type SignedIn } from 'authkit-express';
import { createTestWorkOS } from 'authkit-express/testing';
import { FETCH, send } from '../support/browser.js';
import { json, createTestApp } from '../support/app.js';

class AdminOnly {
  get role() {
    return 'admin';
  }
}

/** Values that look like rules but would require nothing if only their own string keys were read. */
const SLIPS: [name: string, rule: unknown, message: RegExp][] = [
  ['undefined, from a misspelt name', ({} as { admin?: object }).admin, /the rule is undefined/],
  ['a promise, from a forgotten await', Promise.resolve({ role: 'admin' }), /promise: await it first/],
  ['a Map', new Map([['role', 'admin']]), /plain object/],
  ['an instance of a class with a getter', new AdminOnly(), /plain object/],
  ['inherited keys', Object.create({ role: 'admin' }), /plain object/],
  ['a key that is not enumerable', Object.defineProperty({}, 'role', { value: 'admin' }), /not enumerable/],
  ['a symbol key', { [Symbol('role')]: 'admin' }, /Symbol\(role\).*symbol/],
  ['a symbol key beside a good one', { role: 'admin', [Symbol.for('x')]: 1 }, /symbol/],
  ['a Date', new Date(0), /plain object/],
  ['a role', 'admin', /plain object or a function, as in requireAuth\(\{ role: 'admin' \}\)$/],
  ['a permission', 'billing:read', /as in requireAuth\(\{ permission: 'billing:read' \}\)$/],
  ['an organization', 'org_01', /as in requireAuth\(\{ organization: 'org_01' \}\)$/],
  ['an array with an organization', ['org_01'], /as in requireAuth\(\{ organization: 'org_01' \}\)$/],
  ['a text of any content', "x' }\n", /as in requireAuth\(\{ role: 'admin' \}\)$/],
  ['an array', ['editor', 'admin'], /as in requireAuth\(\{ role: \['editor', 'admin'\] \}\)$/],
  ['an array of other values', [1], /as in requireAuth\(\{ role: 'admin' \}\)$/],
  ['null', null, /as in requireAuth\(\{ role: 'admin' \}\)$/],
  ['true', true, /as in requireAuth\(\{ role: 'admin' \}\)$/],
  ['a boxed string', Object('admin'), /plain object/],
  ['a list with a hole', { role: Array(1) }, /"role"/],
  ['any in a prototype', { role: Object.create({ any: ['admin'] }) as object }, /"role"/],
];

describe('a rule that would demand nothing by mistake', () => {
  const resource = protectedResource({
    resource: 'https://api.example.com/mcp',
    authorizationServers: ['https://example.authkit.app'],
  });

  test.each(SLIPS)('throws where the route is defined: %s', async (_, rule, message) => {
    const workos = await createTestWorkOS();
    const auth = authkit({ ...workos.options, redirectUri: 'http://127.0.0.1:1/callback' });
    await workos.close();
    for (const guard of [requireAuth, auth.requireAuth, resource.requireAuth]) {
      expect(() => guard(rule as never)).toThrow(TypeError);
      expect(() => guard(rule as never)).toThrow(message);
    }
  });

  test('throws in has() too, signed in and signed out', async () => {
    const told: unknown[] = [];
    const { origin, cookie } = await createTestApp('express5', {
      routes: (app) => {
        app.route('/has', (req, res) => {
          const { auth } = req as unknown as { auth: SignedIn };
          for (const [, rule] of SLIPS) {
            try {
              told.push(auth.has(rule as never));
            } catch (error) {
              told.push((error as Error).name);
            }
          }
          json(res, {});
        });
      },
    });
    await send(`${origin}/has`, { headers: { ...FETCH, cookie: await cookie() } });
    await send(`${origin}/has`, { headers: FETCH });
    expect(told).toEqual(Array(SLIPS.length * 2).fill('TypeError'));
  });
});

test('a plain object without a prototype is a rule', async () => {
  const rule = Object.assign(Object.create(null) as object, { permission: 'billing:read' });
  const { origin, cookie } = await createTestApp('express5', { rule });
  const ask = async (permissions: string[]) =>
    (await send(`${origin}/account`, { headers: { ...FETCH, cookie: await cookie({ permissions }) } }))
      .status;
  expect(await ask(['billing:read'])).toBe(200);
  expect(await ask([])).toBe(403);
});

test.each([
  [{ maxage: 60 }, 'unknown rule "maxage": did you mean maxAge? The rules are '],
  [{ permision: 'x' }, 'unknown rule "permision": did you mean permission? The rules are '],
  [{ Role: 'x' }, 'unknown rule "Role": did you mean role? The rules are '],
  [{ colour: 'x' }, 'unknown rule "colour": the rules are '],
])('%j is an unknown rule, and the message names the closest and every rule', (rule, start) => {
  const all =
    'role, permission, organization, entitlement, featureFlag, impersonation, maxAge, check, accepts, sameOrigin, ' +
    'unauthenticated';
  expect(() => requireAuth(rule as never)).toThrow(start + all);
});

test('two rules are a mistake', () => {
  const both = requireAuth as unknown as (...rules: object[]) => unknown;
  expect(() => both({ role: 'admin' }, { maxAge: 60 })).toThrow('takes one rule');
});
