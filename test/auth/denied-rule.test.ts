import { expect, onTestFinished, test } from 'vitest';
import { requireAuth, type GuardRule } from 'authkit-express';
import { createTestApp } from '../support/app.js';
import { messagesOn } from '../support/events.js';
import { FETCH, send } from '../support/browser.js';
import { FRAMEWORKS } from '../support/frameworks.js';

type Accepts = 'session' | 'apiKey';

const orgOfPath = () => 'org_other';
const isStaff = () => false;
const list = ['billing:read', 'billing:write'];

/** Rules that Ada does not meet, with the condition that the event names. */
const RULES: readonly [rule: GuardRule<Accepts> | (() => boolean), condition: object][] = [
  [{ role: 'owner' }, { role: 'owner' }],
  [{ permission: list }, { permission: ['billing:read', 'billing:write'] }],
  [{ featureFlag: { any: ['new', 'beta'] } }, { featureFlag: { any: ['new', 'beta'] } }],
  [{ entitlement: 'audit-logs' }, { entitlement: 'audit-logs' }],
  [{ organization: 'org_other' }, { organization: 'org_other' }],
  [{ organization: orgOfPath }, { organization: 'orgOfPath' }],
  [isStaff, { check: 'isStaff' }],
  [{ check: async () => Promise.resolve(false) }, { check: 'check' }],
  [
    (
      () => () =>
        false
    )(),
    { check: 'anonymous' },
  ],
  // The first condition that does not hold is the one that is named.
  [{ organization: true, role: 'owner', check: isStaff }, { role: 'owner' }],
  [{ sameOrigin: true }, { sameOrigin: true }],
  [{ sameOrigin: ['https://admin.example.com'] }, { sameOrigin: ['https://admin.example.com'] }],
  [{ maxAge: 60 }, { maxAge: 60 }],
];

test.each(FRAMEWORKS)(
  'authkit:denied names the condition that the request does not meet on %s',
  async (framework) => {
    const { origin, cookie, workos } = await createTestApp(framework, {
      routes: (app) => {
        for (const [index, [rule]] of RULES.entries())
          app.route(`/${index}`, requireAuth(rule as GuardRule), (_, res) => res.end('ok'));
      },
    });
    list.push('added after the guard was created');
    onTestFinished(() => void list.pop());
    const session = await cookie();
    workos.clock.advance(120_000);
    const seen = messagesOn('authkit:denied');
    for (const [index] of RULES.entries()) {
      const headers = { ...FETCH, cookie: session, origin: 'https://evil.example' };
      const { status } = await send(`${origin}/${index}`, { method: 'POST', headers });
      expect([401, 403], JSON.stringify(RULES[index]![1])).toContain(status);
    }
    expect(seen.map(({ rule }) => rule)).toEqual(RULES.map(([, condition]) => condition));
  },
);

test('a request without a credential is denied by no condition, and a key by those about users', async () => {
  const { origin, workos } = await createTestApp('express5', {
    routes: (app) => {
      app.route('/recent', requireAuth({ accepts: ['session', 'apiKey'], maxAge: 60 }), (_, res) =>
        res.end(),
      );
    },
  });
  const seen = messagesOn('authkit:denied');
  await send(`${origin}/recent`, { headers: FETCH });
  await send(`${origin}/recent`, { headers: { authorization: `Bearer ${workos.createApiKey()}` } });
  expect(seen.map(({ code, rule }) => [code, rule])).toEqual([
    ['unauthenticated', undefined],
    ['forbidden', { maxAge: 60 }],
  ]);
});
