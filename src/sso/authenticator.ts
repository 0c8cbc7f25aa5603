import { LRUCache } from 'lru-cache';
import type { Authentication, Authenticator } from '../authenticate.js';
import type { SSOConfig } from '../config/index.js';
import type { Session } from '../session.js';
import { isNotStored } from '../shelf.js';
import type { Sessions } from '../sessions.js';
import { claimsOf, openSSOSession, toSession } from './session.js';

const MAX_BYTES = 8 * 1_048_576;
const MAX_ENDED = 10_000;

const NONE: Authentication = Object.freeze({ kind: 'anonymous', reason: 'none' });

type Active = Extract<Authentication, { kind: 'authenticated' }>;

/** Judges session cookies of `sso()`: nothing is asked of WorkOS, which keeps no session for them. */
export function createSSOAuthenticator(config: SSOConfig): {
  authenticator: Authenticator;
  sessions: Pick<Sessions, 'peek' | 'end'>;
} {
  const { now } = config;
  const { first, idOf } = createMemory(config);
  const ttl = config.sessionLifetime * 1000;
  const ended = new LRUCache<string, true>({ max: MAX_ENDED, ttl, ttlResolution: 0, perf: { now } });
  const isLive = (session: Session) => !ended.has(idOf(session));
  return {
    authenticator: {
      authenticate(values) {
        if (values.length === 0) return NONE;
        const active = first(values);
        if (!active) return { kind: 'anonymous', reason: 'invalid' };
        if (!isLive(active.session)) return { kind: 'anonymous', reason: 'ended' };
        return now() / 1000 < active.claims.exp ? active : { kind: 'anonymous', reason: 'expired' };
      },
      // There are no tokens to renew.
      refresh: () => Promise.resolve({ kind: 'anonymous', reason: 'expired' }),
      isLive,
    },
    sessions: {
      peek: (values) => Promise.resolve(first(values)?.session),
      end(session) {
        // Nothing of it lies in a store, so that it is always at hand.
        if (!isNotStored(session)) ended.set(idOf(session), true);
        return Promise.resolve();
      },
    },
  };
}

/** Sessions by the value of their cookie, so that a warm request needs no cryptography. Expired ones are found, too. */
function createMemory(config: SSOConfig) {
  const ids = new WeakMap<Session, string>();
  const known = new LRUCache<string, Active>({
    maxSize: MAX_BYTES,
    sizeCalculation: (_, value) => value.length * 4 + 512,
  });
  const find = (value: string): Active | undefined => {
    const active = known.get(value);
    if (active) return active;
    const opened = openSSOSession(value, config);
    if (!opened) return undefined;
    const session = toSession(opened);
    ids.set(session, opened.id);
    const found: Active = {
      kind: 'authenticated',
      session,
      claims: claimsOf(opened, config.api.origin),
      auth: undefined,
    };
    known.set(value, found);
    return found;
  };
  return {
    /** Of several values, the first that is a session of ours. */
    first: (values: readonly string[]) => values.map(find).find((found) => found !== undefined),
    idOf: (session: Session) => ids.get(session) ?? '',
  };
}
