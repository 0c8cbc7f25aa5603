import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { AuthKitEvents } from 'authkit-express';
import {
  type CallPriority,
  type CallReport,
  CircuitOpenError,
  createLimiter,
} from '../../src/workos/rate-limit-and-circuit-breaker.js';

const never = () => new AbortController().signal;
const OK: CallReport = { kind: 'ok' };
const FAILED: CallReport = { kind: 'failed' };
const limited = (retryAfter?: number): CallReport => ({ kind: 'limited', retryAfter });

/** A limiter with its own clock, and calls that finish when the test says so. */
function setUp({ random = (): number => 1 } = {}) {
  const clock = { now: 1_000_000 };
  const limiter = createLimiter({ clientId: 'client_limiter', now: () => clock.now, random });
  let made = 0;
  const start = (priority: CallPriority = 'background', signal = never()) => {
    let end!: (report: CallReport) => void;
    const ended = new Promise<CallReport>((resolve) => (end = resolve));
    const call = { hasStarted: false, end, error: undefined as unknown };
    const done = limiter
      .run(
        async () => {
          made += 1;
          call.hasStarted = true;
          return { report: await ended };
        },
        priority,
        signal,
      )
      .catch((error: unknown) => {
        call.error = error;
      });
    return Object.assign(call, { done });
  };
  const run = async (report: CallReport) => {
    const call = start();
    call.end(report);
    await call.done;
    return call;
  };
  /** Makes calls fail until further calls are refused. */
  const open = async () => {
    for (let count = 0; count < 10; count += 1) await run(FAILED);
  };
  return { clock, start, run, open, made: () => made };
}

const settled = () => new Promise(setImmediate);

describe('19A calls in flight', () => {
  test('at most 50 calls run at a time, and the others start in the order in which they came', async () => {
    const { start, made } = setUp();
    const calls = Array.from({ length: 120 }, () => start('sign-in'));
    await settled();
    expect(made()).toBe(50);
    calls[3]!.end(OK);
    calls[7]!.end(OK);
    await settled();
    expect(made()).toBe(52);
    expect([calls[50]!.hasStarted, calls[51]!.hasStarted, calls[52]!.hasStarted]).toEqual([
      true,
      true,
      false,
    ]);
    for (const call of calls) call.end(OK);
    await Promise.all(calls.map(({ done }) => done));
    expect(made()).toBe(120);
    expect(calls.every(({ error }) => error === undefined)).toBe(true);
  });

  test('sign-ins find room while refreshes take all that they may, and start before refreshes that wait', async () => {
    const { start, made } = setUp();
    const refreshes = Array.from({ length: 200 }, () => start('background'));
    await settled();
    expect(made()).toBe(40);
    const signIns = Array.from({ length: 12 }, () => start('sign-in'));
    await settled();
    expect(signIns.filter(({ hasStarted }) => hasStarted)).toHaveLength(10);
    refreshes[0]!.end(OK);
    await settled();
    expect(signIns.filter(({ hasStarted }) => hasStarted)).toHaveLength(11);
    expect(refreshes.filter(({ hasStarted }) => hasStarted)).toHaveLength(40);
    for (const call of [...refreshes, ...signIns]) call.end(OK);
    await Promise.all([...refreshes, ...signIns].map(({ done }) => done));
    expect(made()).toBe(212);
  });

  test('a call whose time is over while it waits for a slot is never made', async () => {
    const { start, made } = setUp();
    const running = Array.from({ length: 40 }, () => start());
    const controller = new AbortController();
    const waiting = start('background', controller.signal);
    const late = start('background', AbortSignal.abort(new Error('too late')));
    controller.abort(new Error('too late'));
    await Promise.all([waiting.done, late.done]);
    expect([waiting.error, late.error]).toEqual([new Error('too late'), new Error('too late')]);
    for (const call of running) call.end(OK);
    await Promise.all(running.map(({ done }) => done));
    expect(made()).toBe(40);
  });

  test('a call that throws gives its slot back', async () => {
    const limiter = createLimiter({ clientId: 'c', now: () => 0 });
    for (let count = 0; count < 8; count += 1) {
      const call = () => Promise.reject(new Error('a bug'));
      await expect(limiter.run(call, 'background', never())).rejects.toThrow('a bug');
    }
    await expect(limiter.run(() => Promise.resolve({ report: OK }), 'background', never())).resolves.toEqual({
      report: OK,
    });
  });
});

describe('19A the circuit breaker', () => {
  test('ten failures in a row open it, and then no call is made', async () => {
    const { run, made } = setUp();
    for (let count = 0; count < 9; count += 1) await run(FAILED);
    await run(OK);
    for (let count = 0; count < 10; count += 1) expect((await run(FAILED)).error).toBeUndefined();
    for (let count = 0; count < 200; count += 1)
      expect((await run(OK)).error).toBeInstanceOf(CircuitOpenError);
    expect(made()).toBe(20);
  });

  test('calls that wait for a slot fail at once when it opens', async () => {
    const { start, made } = setUp();
    const calls = Array.from({ length: 200 }, () => start());
    await settled();
    for (const call of calls.slice(0, 10)) call.end(FAILED);
    await Promise.all(calls.slice(0, 10).map(({ done }) => done));
    // Waiting calls started as the first ones finished. None starts after the tenth failure.
    const refused = calls.filter(({ error }) => error instanceof CircuitOpenError);
    expect(made()).toBe(49);
    expect(refused).toHaveLength(151);
    for (const call of calls) call.end(FAILED);
    await Promise.all(calls.map(({ done }) => done));
    expect(made()).toBe(49);
  });

  test('the pause grows to five seconds, and one probe at a time is made after it', async () => {
    const { clock, open, start, run, made } = setUp();
    await open();
    const pauses = [500, 1000, 2000, 4000, 5000, 5000, 5000];
    for (const pause of pauses) {
      const before = made();
      clock.now += pause - 1;
      expect((await run(OK)).error).toBeInstanceOf(CircuitOpenError);
      clock.now += 1;
      const probe = start();
      const others = await Promise.all([run(OK), run(OK), run(OK)]);
      expect(others.every(({ error }) => error instanceof CircuitOpenError)).toBe(true);
      expect(made() - before).toBe(1);
      probe.end(FAILED);
      await probe.done;
    }
  });

  test('a probe that succeeds closes it, and the next pause is short again', async () => {
    const { clock, open, run } = setUp();
    await open();
    for (let count = 0; count < 4; count += 1) {
      clock.now += 5000;
      await run(FAILED);
    }
    clock.now += 5000;
    expect((await run(OK)).error).toBeUndefined();
    for (let count = 0; count < 9; count += 1) expect((await run(FAILED)).error).toBeUndefined();
    expect((await run(OK)).error).toBeUndefined();
    await open();
    clock.now += 500;
    expect((await run(OK)).error).toBeUndefined();
  });

  test('failures of calls that began before it opened do not make the pause longer', async () => {
    const { clock, start, run } = setUp();
    const calls = Array.from({ length: 40 }, () => start());
    await settled();
    for (const call of calls) call.end(FAILED);
    await Promise.all(calls.map(({ done }) => done));
    clock.now += 500;
    expect((await run(OK)).error).toBeUndefined();
  });

  test('half of the pause is random', async () => {
    for (const [random, pause] of [
      [0, 250],
      [0.5, 375],
      [0.999, 499.75],
    ] as const) {
      const { clock, open, run } = setUp({ random: () => random });
      await open();
      clock.now += pause - 1;
      expect((await run(OK)).error).toBeInstanceOf(CircuitOpenError);
      clock.now += 1;
      expect((await run(OK)).error).toBeUndefined();
    }
  });

  test('a clock that is set back does not make the pause longer', async () => {
    const { clock, run, open } = setUp();
    await open();
    clock.now -= 3_600_000;
    expect((await run(OK)).error).toBeUndefined();
    await run(limited(60));
    clock.now -= 3_600_000;
    expect((await run(OK)).error).toBeUndefined();
  });
});

describe('19A Retry-After', () => {
  test.each([
    [7, 7],
    [0.5, 0.5],
    [60, 60],
    [61, 60],
    [86_400, 60],
    [9_999_999_999, 60],
  ])('of %f seconds makes a pause of %f seconds for every call', async (retryAfter, pause) => {
    const { clock, run } = setUp();
    await run(limited(retryAfter));
    clock.now += pause * 1000 - 1;
    expect((await run(OK)).error).toBeInstanceOf(CircuitOpenError);
    clock.now += 1;
    expect((await run(OK)).error).toBeUndefined();
  });

  test('tells the remaining seconds to who is refused', async () => {
    const { clock, run } = setUp();
    await run(limited(30));
    clock.now += 12_000;
    expect((await run(OK)).error).toMatchObject({ retryAfter: 18 });
  });

  test('is not shortened or ended by calls that began before', async () => {
    const { clock, start, run } = setUp();
    const calls = Array.from({ length: 3 }, () => start());
    await run(limited(30));
    calls[0]!.end(OK);
    calls[1]!.end(limited(2));
    calls[2]!.end(FAILED);
    await Promise.all(calls.map(({ done }) => done));
    clock.now += 29_999;
    expect((await run(OK)).error).toBeInstanceOf(CircuitOpenError);
    clock.now += 1;
    expect((await run(OK)).error).toBeUndefined();
  });

  test('a limit without a time makes the short pause', async () => {
    const { clock, run } = setUp();
    await run(limited());
    expect((await run(OK)).error).toBeInstanceOf(CircuitOpenError);
    clock.now += 500;
    expect((await run(limited())).error).toBeUndefined();
    clock.now += 999;
    expect((await run(OK)).error).toBeInstanceOf(CircuitOpenError);
    clock.now += 1;
    expect((await run(OK)).error).toBeUndefined();
  });
});

test('each change of state is published once', async () => {
  const seen: string[] = [];
  const listen = (message: unknown) => {
    const { clientId, state, reason, pause } = message as AuthKitEvents['authkit:breaker'];
    if (clientId === 'client_limiter') seen.push(`${state} ${reason} ${pause}`);
  };
  subscribe('authkit:breaker', listen);
  onTestFinished(() => void unsubscribe('authkit:breaker', listen));
  const { clock, open, run } = setUp();
  await open();
  for (let count = 0; count < 5; count += 1) await run(OK);
  clock.now += 500;
  await run(FAILED);
  clock.now += 1000;
  await run(OK);
  await run(OK);
  await run(limited(9));
  expect(seen).toEqual([
    'open failures 500',
    'half-open probe 0',
    'open failures 1000',
    'half-open probe 0',
    'closed recovered 0',
    'open rate_limit 9000',
  ]);
});
