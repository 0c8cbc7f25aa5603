import { OURS } from './contenders.js';
import { request } from './scenarios.js';
import { cpuOf, start, type ServerOptions } from './server.js';
import type { Sessions } from './sessions.js';

/** The state of a process after a number of different sessions or access tokens. */
export interface Growth {
  readonly count: number;
  /** CPU time of a request, in microseconds: new to the process (`cold`), and when the latest requests are repeated. */
  readonly cold: number;
  readonly warm: number;
  /** In MB, after a garbage collection. */
  readonly heap: number;
  readonly rss: number;
}

const MB = 2 ** 20;
const FIRST = 1000;

/** Sessions that a process sees once and never again. */
export function growBySessions(options: ServerOptions, { fresh }: Sessions, most: number): Promise<Growth[]> {
  return grow(options, most, () => request('/me', `Cookie: ${fresh()}`));
}

/** Access tokens of different users, whom the package looks up at WorkOS. */
export async function growByTokens(
  options: ServerOptions,
  sessions: Sessions,
  most: number,
): Promise<Growth[]> {
  const tokens = await sessions.tokens(most);
  let at = 0;
  return grow(options, most, () =>
    request('/api', `Authorization: Bearer ${tokens[(at += 1) % most] ?? ''}`),
  );
}

async function grow(options: ServerOptions, most: number, make: () => Buffer): Promise<Growth[]> {
  const server = await start(OURS, options);
  const rows: Growth[] = [];
  let seen = 0;
  for (const total of stepsTo(most)) {
    const latest: Buffer[] = [];
    const next = () => {
      const made = make();
      if (latest.push(made) > FIRST) latest.shift();
      return made;
    };
    const cold = await cpuOf(server, { next, atMost: total - seen, milliseconds: Infinity });
    seen = total;
    let at = 0;
    const warm = await cpuOf(server, { next: () => latest[(at += 1) % latest.length] as Buffer });
    const { heap, rss } = await server.usage(true);
    rows.push({ count: total, cold, warm, heap: heap / MB, rss: rss / MB });
  }
  await server.stop();
  return rows;
}

/** 1000, 10,000 and so on. */
function stepsTo(most: number): number[] {
  const steps: number[] = [];
  for (let total = FIRST; total < most; total *= 10) steps.push(total);
  return [...steps, most];
}
