import { type Advice, suggestionFor } from './did-you-mean.js';

/** The problems with a configuration. Each entry says what is wrong and what to do, and contains no secrets. */
export class Problems {
  readonly list: string[] = [];

  add(problem: string): void {
    this.list.push(problem);
  }

  /**
   * Reports each property of `value` that `known` does not have. Without this check, a misspelled option would have no
   * effect and cause no error.
   *
   * @param kind What the names are called in the message, such as `cookie option`.
   * @param advice Advice for names that other SDKs use.
   * @param otherwise What the message suggests if no known name is similar and there are too many known names to list.
   */
  unknownKeys(kind: string, value: object, known: object, advice: Advice = {}, otherwise?: string): void {
    for (const key of Object.keys(value)) {
      if (Object.hasOwn(known, key)) continue;
      const shown = JSON.stringify(key.slice(0, 64));
      this.add(`unknown ${kind} ${shown}: ${suggestionFor(key, Object.keys(known), advice, otherwise)}`);
    }
  }
}

/** Returns the trimmed value of an environment variable, or `undefined` if the variable is missing or empty. */
export function variable(env: NodeJS.ProcessEnv, name: string): string | undefined {
  const value = Object.hasOwn(env, name) ? env[name]?.trim() : undefined;
  return value === '' ? undefined : value;
}

const QUOTES = /^(?:"[^]*"|'[^]*'|`[^]*`|“[^]*”|‘[^]*’)$/;

/**
 * Reports a value that is enclosed in quotes. Docker's `--env-file` and some dashboards do not remove such quotes.
 *
 * @param source The option or the variable that holds the value.
 * @returns The value without the quotes, so the other checks can continue.
 */
export function withoutQuotes(source: string, value: string, problems: Problems): string {
  if (!QUOTES.test(value)) return value;
  problems.add(`the value of ${source} includes quotes: remove them`);
  return value.slice(1, -1);
}
