/**
 * The property names that an options object may have. With the type `Record<keyof Options, true>`, the compiler checks
 * that no name is missing.
 */
export type Names = Readonly<Record<string, true>>;

/**
 * Throws if `given` has a property that is not in `known`, so a misspelled option is reported.
 *
 * @param where The name of the function or option that `given` was passed to, for the error message.
 */
export function checkNames(where: string, given: object, known: Names): void {
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(known, name)) continue;
    throw new Error(`${where} has no option "${name}".${didYouMean(name, Object.keys(known))}`);
  }
}

/**
 * Returns a sentence that suggests the known name that is most similar to `name`. If no known name is similar, the
 * sentence lists all known names.
 */
export function didYouMean(name: string, known: readonly string[]): string {
  const given = name.toLowerCase();
  const isLike = (candidate: string) => {
    const other = candidate.toLowerCase();
    const [shorter, longer] = given.length < other.length ? [given, other] : [other, given];
    const isPart = shorter.length > 2 && longer.startsWith(shorter);
    return isPart || distance(given, other) <= Math.max(1, Math.floor(longer.length / 3));
  };
  const [closest] = known
    .filter(isLike)
    .sort((a, b) => distance(given, a.toLowerCase()) - distance(given, b.toLowerCase()));
  return closest === undefined ? ` Its options are ${known.join(', ')}.` : ` Did you mean "${closest}"?`;
}

/**
 * Returns the Levenshtein distance between two words: the smallest number of characters that must be inserted, removed or
 * replaced to turn one word into the other.
 */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [i, char] of Array.from(a).entries()) {
    const next = [i + 1];
    for (const [j, other] of Array.from(b).entries()) {
      const replaced = (row[j] ?? 0) + (char === other ? 0 : 1);
      next.push(Math.min(replaced, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
