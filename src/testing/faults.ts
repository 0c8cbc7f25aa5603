import { STATUS_CODES } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { covers, type Operation } from './operations.js';
import { json, type Reply } from './reply.js';

/** What goes wrong. Without `status`, `body`, `reset` and `hang`, WorkOS does what it is asked. Timers are real. */
export interface Fault {
  /** `authenticate` means every grant. */
  on: Operation;
  /** How many requests it hits; without it, all until `restore`. */
  times?: number;
  /** WorkOS does what it is asked first, so a token has rotated and only the answer is lost. */
  after?: boolean;
  /** Default 200 with `body`. */
  status?: number;
  /** Added to those of the answer; in lower case. */
  headers?: Readonly<Record<string, string>>;
  /** Text is sent as it is, anything else as JSON. Default with `status`: a JSON error. */
  body?: unknown;
  /** Changes what WorkOS answers truthfully: another user, a token less. Gets parsed JSON and returns the like. */
  alter?: (body: Record<string, unknown>) => unknown;
  /** Milliseconds before the answer. */
  delay?: number;
  /** Resets the connection. */
  reset?: boolean;
  /** Never answers, until the test WorkOS is closed. */
  hang?: boolean;
  /** Sends the body one byte at a time: milliseconds between two, or `true` for a second. */
  slow?: boolean | number;
  /** Promises more bytes than it sends, and closes the connection. */
  truncate?: boolean;
}

/** What is put on the wire, and how. */
export type Delivery =
  | {
      readonly kind: 'reply';
      readonly reply: Reply;
      readonly millisecondsPerByte?: number;
      readonly isTruncated?: boolean;
    }
  | { readonly kind: 'reset' }
  | { readonly kind: 'hang' };

export interface Faults {
  add: (fault: Fault) => { restore: () => void };
  clear: () => void;
  /** Performs an operation under the oldest fault that it is subject to. */
  deliver: (operation: Operation, act: () => Promise<Reply>) => Promise<Delivery>;
}

/** @param signal Ends all waiting. */
export function createFaults(signal: AbortSignal): Faults {
  const faults = new Map<Fault, number>();

  const next = (operation: Operation): Fault | undefined => {
    for (const [fault, left] of faults) {
      if (left <= 0 || !covers(fault.on, operation)) continue;
      faults.set(fault, left - 1);
      return fault;
    }
    return undefined;
  };
  return {
    add: (fault) => {
      const own = { ...fault };
      faults.set(own, own.times ?? Infinity);
      return { restore: () => void faults.delete(own) };
    },
    clear: () => {
      faults.clear();
    },
    deliver: async (operation, act) => {
      const fault = next(operation);
      return fault ? suffer(fault, act, signal) : { kind: 'reply', reply: await act() };
    },
  };
}

async function suffer(fault: Fault, act: () => Promise<Reply>, signal: AbortSignal): Promise<Delivery> {
  const { status, body, after = false, delay = 0, slow = false, truncate: isTruncated = false } = fault;
  const isSilent = fault.reset === true || fault.hang === true;
  const isMadeUp = status !== undefined || body !== undefined;
  const done = after ? await act() : undefined;
  if (delay > 0) await wait(delay, undefined, { signal });
  if (isSilent) return { kind: fault.reset === true ? 'reset' : 'hang' };
  const reply = isMadeUp ? madeUp(fault) : await altered(done ?? (await act()), fault);
  const pace = slow === false ? {} : { millisecondsPerByte: slow === true ? 1000 : slow };
  return {
    kind: 'reply',
    reply: { ...reply, headers: { ...reply.headers, ...fault.headers } },
    ...pace,
    isTruncated,
  };
}

function madeUp({ status = 200, body = { message: STATUS_CODES[status] ?? 'Error' } }: Fault): Reply {
  return typeof body === 'string' ? { status, headers: {}, body } : json(status, body);
}

async function altered(reply: Reply, { alter }: Fault): Promise<Reply> {
  if (!alter) return reply;
  return { ...reply, body: JSON.stringify(await alter(JSON.parse(reply.body) as Record<string, unknown>)) };
}
