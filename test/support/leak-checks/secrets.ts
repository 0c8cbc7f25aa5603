/** Length of the pieces that are searched for, which is shorter than any secret in the tests. */
const WINDOW = 16;
const RUN = /[A-Za-z0-9_\-.*~+/=]{16,}/g;

/**
 * All secrets that a test file has used, and a search for them in a text. Each secret is recognized by a piece of its
 * middle and one of its end, so half a secret is found too. A text is read once, however many secrets there are.
 */
export class Secrets {
  readonly #pieces = new Map<string, string>();

  get size(): number {
    return this.#pieces.size;
  }

  add(kind: string, value: unknown): void {
    if (typeof value !== 'string' || value.length < WINDOW) return;
    const middle = Math.floor((value.length - WINDOW) / 2);
    this.#pieces.set(value.slice(middle, middle + WINDOW), kind);
    this.#pieces.set(value.slice(-WINDOW), kind);
  }

  /** The kinds of secrets in a text, such as `access_token`. */
  in(text: string): string[] {
    const found = new Set<string>();
    if (this.size === 0) return [];
    for (const [run] of text.matchAll(RUN)) {
      for (let start = 0; start + WINDOW <= run.length; start += 1) {
        const kind = this.#pieces.get(run.slice(start, start + WINDOW));
        if (kind !== undefined) found.add(kind);
      }
    }
    return [...found];
  }
}
