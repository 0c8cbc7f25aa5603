import { expect, test } from 'vitest';
import type { Claims, TokenVerification } from '../../src/workos/access-token.js';
import { decodeUnverified } from '../../src/workos/access-token.js';
import { AuthKitError } from '../../src/errors.js';
import { createRefresh } from '../../src/session/refresh.js';
import { createTokenRefresh } from '../../src/session/refresh-at-workos.js';
import { toSession, type Session } from '../../src/session/sealed-session.js';
import type { ApiResult, Tokens } from '../../src/workos/api-client.js';
import { fc, LONG } from '../support/properties.js';

const EXPIRES = 2_000_000_000;

function tokensFor(user: string, generation: number, organizationId?: string): Tokens {
  const claims = { sub: user, sid: `session_${user}`, exp: EXPIRES, org_id: organizationId };
  const payload = Buffer.from(JSON.stringify(claims)).toString('base64url');
  return {
    accessToken: `x.${payload}.x`,
    refreshToken: `rt_${user}_${generation}`,
    user: { id: user } as Tokens['user'],
    ...(organizationId === undefined ? {} : { organizationId }),
  };
}

/** A WorkOS that accepts each refresh token once, and is sometimes unavailable. */
function strictWorkOS(outages: readonly boolean[]) {
  const spent = new Set<string>();
  let calls = 0;
  return {
    spentTwice: [] as string[],
    async refresh(
      this: { spentTwice: string[] },
      token: string,
      organizationId?: string,
    ): Promise<ApiResult<Tokens>> {
      const isDown = outages[calls++ % Math.max(1, outages.length)] ?? false;
      if (isDown) return { kind: 'unavailable', error: new AuthKitError('upstream_unavailable', 'down') };
      if (spent.has(token)) {
        this.spentTwice.push(token);
        return { kind: 'refused', error: new AuthKitError('code_exchange_failed', 'spent') };
      }
      spent.add(token);
      const [, user = '', generation = ''] = /^rt_(.+)_(\d+)$/.exec(token) ?? [];
      return { kind: 'ok', value: tokensFor(user, Number(generation) + 1, organizationId) };
    },
  };
}

test(
  "no user gets another user's session and no refresh token is sent twice, for any interleaving",
  LONG,
  async () => {
    const request = fc.record({
      user: fc.constantFrom('ada', 'grace', 'alan'),
      organization: fc.constantFrom(undefined, 'org_1', 'org_2'),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(request, { minLength: 1, maxLength: 10 }),
        fc.array(fc.boolean(), { maxLength: 4 }),
        async (scheduler, requests, outages) => {
          const workos = strictWorkOS(outages);
          const verify = (token: string): Promise<TokenVerification> =>
            Promise.resolve({ kind: 'valid', claims: decodeUnverified(token) as unknown as Claims });
          const refreshTokens = createTokenRefresh({
            refresh: scheduler.scheduleFunction(workos.refresh.bind(workos)),
            verify,
            seal: scheduler.scheduleFunction(async (session: Session) => JSON.stringify(session)),
            onRefreshed: () => undefined,
            onFailed: () => undefined,
          });
          const { run } = createRefresh({ clientId: 'client_1', refreshTokens, now: () => 0 });
          const answers = requests.map(async ({ user, organization }) => {
            const result = await run(toSession(tokensFor(user, 0), {}), organization);
            expect(result.kind).not.toBe('refused');
            if (result.kind !== 'refreshed') return;
            expect(result.session.user.id).toBe(user);
            expect(decodeUnverified(result.session.accessToken)).toMatchObject({ sub: user });
            expect(decodeUnverified(result.session.accessToken)['org_id']).toBe(organization);
            expect(JSON.parse(result.sealed)).toMatchObject({ user: { id: user } });
          });
          await scheduler.waitFor(Promise.all(answers));
          expect(workos.spentTwice).toEqual([]);
        },
      ),
    );
  },
);

test('a refresh response about another user is rejected', LONG, async () => {
  const person = fc.constantFrom('ada', 'grace');
  await fc.assert(
    fc.asyncProperty(person, person, person, async (own, inAnswer, inToken) => {
      const answer = { ...tokensFor(inToken, 1), user: { id: inAnswer } as Tokens['user'] };
      const refreshTokens = createTokenRefresh({
        refresh: () => Promise.resolve({ kind: 'ok', value: answer }),
        verify: (token) =>
          Promise.resolve({ kind: 'valid', claims: decodeUnverified(token) as unknown as Claims }),
        seal: () => Promise.resolve('sealed'),
        onRefreshed: () => undefined,
        onFailed: () => undefined,
      });
      const { run } = createRefresh({ clientId: 'client_1', refreshTokens, now: () => 0 });
      const result = await run(toSession(tokensFor(own, 0), {}), undefined);
      expect(result.kind).toBe(own === inAnswer && own === inToken ? 'refreshed' : 'unavailable');
    }),
  );
});
