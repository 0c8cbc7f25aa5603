import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { atMost } from './keys.js';
import type { Answer } from './workos.js';

const MAX_ENTRIES = 10_000;
/** While a stale answer serves, WorkOS is tried this often, in milliseconds. */
const RETRY = 10_000;

export interface LookupOptions<T> {
  ask: (key: string) => Promise<Answer<T>>;
  /** Yes and no are both remembered this long, in milliseconds. */
  fresh: number;
  /** A yes serves this much longer while WorkOS cannot be asked, in milliseconds. */
  stale: number;
  /** How long a request waits for a newer answer while a stale one would do, in milliseconds. */
  patience: number;
  now: () => number;
}

type Settled<T> = Exclude<Answer<T>, { kind: 'unreachable' }>;

interface Entry<T> {
  answer?: Settled<T>;
  freshUntil: number;
  staleUntil: number;
  inFlight?: Promise<Answer<T>> | undefined;
}

/** Asks WorkOS about a key once for all who want to know, and remembers the answer for a while. Never rejects. */
export type Lookup<T> = (key: string) => Answer<T> | Promise<Answer<T>>;

export function createLookup<T>({ ask, fresh, stale, patience, now }: LookupOptions<T>): Lookup<T> {
  const entries = new LRUCache<string, Entry<T>>({ max: MAX_ENTRIES });

  const load = async (key: string, entry: Entry<T>): Promise<Answer<T>> => {
    const answer = await ask(key);
    entry.inFlight = undefined;
    if (answer.kind === 'unreachable') {
      entry.freshUntil = now() + (entry.answer ? RETRY : 0);
      return answer;
    }
    entry.answer = answer;
    entry.freshUntil = now() + fresh;
    entry.staleUntil = entry.freshUntil + (answer.kind === 'granted' ? stale : 0);
    return answer;
  };
  return (key) => {
    // By a hash: the key may be a secret.
    const id = createHash('sha256').update(key).digest('base64url');
    const entry = entries.get(id) ?? { freshUntil: -Infinity, staleUntil: -Infinity };
    entries.set(id, entry);
    const { answer } = entry;
    const isUsable = answer !== undefined && now() < entry.staleUntil;
    if (answer && now() < entry.freshUntil && now() < entry.staleUntil) return answer;
    const pending = (entry.inFlight ??= load(key, entry));
    if (!isUsable) return pending;
    return atMost(patience, pending).then((newer) => {
      const { kind } = (newer ?? { kind: 'unreachable' }) as { kind: Answer<T>['kind'] };
      return kind === 'unreachable' ? answer : (newer as Answer<T>);
    });
  };
}
