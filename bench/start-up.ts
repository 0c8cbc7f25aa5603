import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { BARE, type Contender, needsRedis } from './contenders.js';
import { requestsOf, type Scenario, scenarioOf, takesPart } from './scenarios.js';
import { start, startForOneRequest, type FirstAnswer, type ServerOptions } from './server.js';
import type { Sessions } from './sessions.js';

/** From the import to the first guarded response of a new process. `milliseconds` is a median. */
export interface StartUp {
  readonly name: string;
  readonly credential: string;
  readonly milliseconds: number;
  readonly fastest: number;
  /** The lowest CPU time, in milliseconds. */
  readonly cpu: number;
}

/**
 * Starts a process for a single request, as a serverless platform does: import, configuration, signing keys, request.
 */
export async function startUps(
  contenders: readonly Contender[],
  options: ServerOptions,
  sessions: Sessions,
  rounds: number,
): Promise<StartUp[]> {
  const rows: StartUp[] = [];
  for (const scenario of [scenarioOf('hot'), scenarioOf('bearer')]) {
    const runners: { contender: Contender; request: Buffer; answers: FirstAnswer[] }[] = [];
    for (const contender of contenders.filter((one) => startsAlone(one) && takesPart(one, scenario))) {
      const request = await requestFor(contender, scenario, options, sessions);
      runners.push({ contender, request, answers: [] });
    }
    for (let round = 0; round < rounds; round += 1) {
      for (const { contender, request, answers } of runners)
        answers.push(await startForOneRequest(contender, request, options));
    }
    for (const { contender, answers } of runners) {
      const times = answers.map(({ milliseconds }) => milliseconds);
      rows.push({
        name: contender.name,
        credential: scenario.credential,
        milliseconds: median(times),
        fastest: Math.min(...times),
        cpu: Math.min(...answers.map(({ cpu }) => cpu)),
      });
    }
  }
  return rows;
}

/** A session in one process's memory does not exist in another process. */
function startsAlone(contender: Contender): boolean {
  return contender.by !== 'store' && !needsRedis(contender);
}

async function requestFor(
  contender: Contender,
  scenario: Scenario,
  options: ServerOptions,
  sessions: Sessions,
): Promise<Buffer> {
  const server = await start(contender, options);
  const { list } = await requestsOf(scenario, contender, server, sessions);
  await server.stop();
  return list(1)[0] as Buffer;
}

export interface Import {
  readonly name: string;
  readonly milliseconds: number;
}

/** The time that importing a package adds to a process that has already loaded Express, as the median of nine runs. */
export function importTimes(node: string, contenders: readonly Contender[]): Import[] {
  return contenders.flatMap((contender) => {
    const { name, imports, env } = contender;
    if (imports === undefined || contender === BARE || needsRedis(contender) || env?.['BENCH_ROOT'])
      return [];
    const code = `await import('express'); const t = performance.now(); await import('${imports}'); console.log(performance.now() - t);`;
    const cwd = join(import.meta.dirname, 'contenders');
    const times = Array.from({ length: 9 }, () =>
      Number(execFileSync(node, ['--input-type=module', '-e', code], { cwd, encoding: 'utf8' })),
    );
    return [{ name, milliseconds: median(times) }];
  });
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? NaN;
}
