import { describe, expect, test } from 'vitest';
import { resolveConfig } from '../../src/config/index.js';
import { createWorkOSClient, type WorkOSClient } from '../../src/workos/api-client.js';
import { createRefusedCodeBudget } from '../../src/workos/limit-anonymous-calls.js';
import { GOOD } from '../config/problem-of.js';
import { ADA } from '../support/app.js';

/** A client whose WorkOS gives this answer to codes, and counts them. */
function clientWith(status: number, body: object) {
  const clock = { now: 1_800_000_000_000 };
  let codes = 0;
  const fetch: typeof globalThis.fetch = (_url, init) => {
    const isRefresh = typeof init?.body === 'string' && init.body.includes('refresh_token');
    if (!isRefresh) codes += 1;
    const answer = isRefresh ? { error: 'invalid_grant' } : body;
    return Promise.resolve(Response.json(answer, { status: isRefresh ? 400 : status }));
  };
  const client = createWorkOSClient(
    resolveConfig({ ...GOOD, fetch, now: () => clock.now, timeout: 100 }, {}),
  );
  return { client, clock, codes: () => codes };
}

const KINDS: Record<string, (client: WorkOSClient) => Promise<{ kind: string }>> = {
  'authkit()': (client) => client.exchangeCode('made-up', 'verifier'),
  'sso()': (client) => client.exchangeProfile('made-up', 'verifier'),
};

describe.each(Object.entries(KINDS))('T50 codes that a client made up, at %s', (_, exchange) => {
  test.each([
    [400, { error: 'invalid_grant' }],
    [400, { error: 'invalid_request', error_description: 'a word that is not documented' }],
    [422, { message: 'Validation failed' }],
  ])('cause a limited number of calls if WorkOS answers %i %j, and refreshes go on', async (status, body) => {
    const { client, clock, codes } = clientWith(status, body);
    const results: { kind: string }[] = [];
    for (let index = 0; index < 230; index += 10)
      results.push(...(await Promise.all(Array.from({ length: 10 }, () => exchange(client)))));
    expect(codes()).toBe(200);
    expect(results.slice(-30)).toEqual(Array(30).fill(expect.objectContaining({ kind: 'unavailable' })));
    expect((await client.refresh('token', undefined)).kind).toBe('refused');
    clock.now += 1000;
    await Promise.all(Array.from({ length: 50 }, () => exchange(client)));
    expect(codes()).toBe(225);
  });

  test.each([
    [403, { code: 'sso_required', message: 'x', email: ADA }],
    [403, { error: 'access_denied' }],
    [429, { message: 'too many' }],
    [500, {}],
  ])('an answer with %i %j is not about the code', async (status, body) => {
    const { client, codes } = clientWith(status, body);
    for (let index = 0; index < 300; index += 1) await exchange(client);
    // During an outage, the circuit breaker stops calls.
    if (status < 429) expect(codes()).toBe(300);
    expect(((await exchange(client)) as { error?: Error }).error?.message).not.toContain('invalid codes');
  });
});

describe('the budget for codes that WorkOS refuses', () => {
  const budgetAt = (clock = { now: 0 }) => createRefusedCodeBudget({ now: () => clock.now, timeout: 20 });
  const ok = () => Promise.resolve('ok');

  test('is not used by codes that WorkOS accepts, however many', async () => {
    const { run } = budgetAt();
    for (let round = 0; round < 5; round += 1) {
      const results = await Promise.all(Array.from({ length: 1000 }, () => run(ok, () => true)));
      expect(results.filter(({ kind }) => kind === 'made')).toHaveLength(1000);
    }
  });

  test('is used by refused codes, and grows by 25 a second', async () => {
    const clock = { now: 0 };
    const { run } = budgetAt(clock);
    const made = async (count: number) => {
      const results = await Promise.all(Array.from({ length: count }, () => run(ok, () => false)));
      return results.filter(({ kind }) => kind === 'made').length;
    };
    expect(await made(300)).toBe(200);
    clock.now = 1000;
    expect(await made(300)).toBe(25);
    clock.now = 500;
    expect(await made(10)).toBe(0);
    clock.now = 1_000_000;
    expect(await made(300)).toBe(200);
  });

  test('lets a request that waits continue as soon as there is room', async () => {
    const { run } = createRefusedCodeBudget({ now: () => 0, timeout: 60_000 });
    const finish: (() => void)[] = [];
    const hung = Array.from({ length: 200 }, () =>
      run(
        () => new Promise<void>((resolve) => finish.push(resolve)),
        () => true,
      ),
    );
    await Promise.resolve();
    const waiting = run(ok, () => true);
    finish[0]!();
    expect((await waiting).kind).toBe('made');
    for (const end of finish) end();
    await Promise.all(hung);
  });
});
