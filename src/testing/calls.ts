import { covers, type Operation } from './operations.js';
import type { Question } from './reply.js';

/** A request that reached the test WorkOS. */
export interface RecordedCall {
  readonly operation: Operation;
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  /** The fields of the body, secrets as they were sent; `undefined` if it was malformed. */
  readonly body: Readonly<Record<string, unknown>> | undefined;
  /** Milliseconds since the epoch, by the clock of the test WorkOS. */
  readonly at: number;
  /** Of the answer; not there while there is none. */
  status?: number;
}

export interface Calls {
  readonly all: readonly RecordedCall[];
  /** Of one operation; `authenticate` means every grant. */
  to: (operation: Operation) => readonly RecordedCall[];
  record: (operation: Operation, question: Question) => RecordedCall;
}

export function createCalls(now: () => number): Calls {
  const all: RecordedCall[] = [];
  return {
    all,
    to: (operation) => all.filter((call) => covers(operation, call.operation)),
    record: (operation, { method, path, query, body }) => {
      const call: RecordedCall = {
        operation,
        method,
        path,
        query: Object.fromEntries(query),
        body,
        at: now(),
      };
      all.push(call);
      return call;
    },
  };
}
