import { onTestFinished, vi } from 'vitest';

const monotonic = performance.now.bind(performance);
let advanced = 0;

/** Advances the monotonic clock until the end of the test. */
export function advanceMonotonicClock(ms: number): void {
  advanced += ms;
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => monotonic() + advanced);
  onTestFinished(() => {
    advanced = 0;
    clock.mockRestore();
  });
}
