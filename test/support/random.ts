/** The seed of generated rows. They are the same on every run, unless a different seed is set. */
const seed = Number(process.env['AUTHKIT_HOSTILE_SEED'] ?? 20260101);

process.stdout.write(`made rows: AUTHKIT_HOSTILE_SEED=${seed}\n`);

export interface Random {
  /** A whole number from 0 up to, but not including, `limit`. */
  below: (limit: number) => number;
  pick: <T>(from: readonly T[]) => T;
  /** True once in this many times, on average. */
  oneIn: (times: number) => boolean;
  /** Picks between `least` and `most` values. */
  some: <T>(from: readonly T[], least: number, most: number) => T[];
}

/** Mulberry32. Each kind of row has its own sequence, so adding rows of one kind does not change the others. */
export function random(kind: string): Random {
  let state = seed;
  for (const char of kind) state = Math.imul(state ^ char.charCodeAt(0), 0x01000193);
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit: number) => Math.floor(next() * limit);
  const pick = <T>(from: readonly T[]): T => from[below(from.length)] as T;
  return {
    below,
    pick,
    oneIn: (times) => below(times) === 0,
    some: (from, least, most) => Array.from({ length: least + below(most - least + 1) }, () => pick(from)),
  };
}
