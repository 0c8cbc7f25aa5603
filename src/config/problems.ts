/** What is wrong with the configuration, each entry a sentence with its fix, so that one start shows them all. */
export class Problems {
  readonly list: string[] = [];

  add(problem: string): void {
    this.list.push(problem);
  }

  /** A misspelt option is a setting that silently does nothing. */
  unknownKeys(kind: string, value: object, known: Readonly<Record<string, true>>): void {
    for (const key of Object.keys(value)) {
      if (!Object.hasOwn(known, key)) {
        this.add(`unknown ${kind} "${key.slice(0, 64)}"; there are ${Object.keys(known).join(', ')}`);
      }
    }
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A variable that is set to nothing is not set. */
export function variable(env: NodeJS.ProcessEnv, name: string): string | undefined {
  const value = env[name]?.trim();
  return value === '' ? undefined : value;
}
