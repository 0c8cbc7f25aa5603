import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { sessionIdOf, type Session } from './session.js';
import { deriveKey } from './stores/index.js';

/** What a cookie value says of a session that lies in the store. */
export interface SessionReference {
  readonly id: string;
  /** The id under which WorkOS knows the session: one can sign out while the store is down. */
  readonly sessionId: string | undefined;
}

/** Names of sessions that lie in the store, and the cookie values that carry them. */
export interface SessionIds {
  /** A new one that nobody can guess: 256 bits. */
  create: () => string;
  /** That of a session which is moved to the store: the same one for every request that brings the same cookie. */
  deriveFrom: (session: Session) => string;
  write: (id: string, session: Session) => string;
  /** The name in a cookie value of ours; anything else is `undefined`, and costs the store nothing. */
  read: (value: string) => SessionReference | undefined;
}

const PREFIX = 's1';
const MAX_LENGTH = 256;
/** WorkOS's ids have 34 characters; a much longer one would be none of its own, and is left out. */
const MAX_SESSION_ID = 64;

/**
 * Cookie values are `s1.<id>.<version>.<session id>.<mac>`. The MAC lets forged ones be refused without a look into the store; the
 * version changes with the session's tokens, so that a browser which was given newer ones is never answered from an
 * older memory.
 *
 * @param passwords The first makes values, all of them recognize one.
 */
export function createSessionIds(passwords: readonly [string, ...string[]]): SessionIds {
  const keys = passwords.map((password) => deriveKey(password, 'session ids')) as [Buffer, ...Buffer[]];
  const macOf = (key: Buffer, text: string) => createHmac('sha256', key).update(text).digest();
  return {
    create: () => randomBytes(32).toString('base64url'),
    deriveFrom: ({ refreshToken }) => macOf(keys[0], `moved ${refreshToken}`).toString('base64url'),
    write(id, session) {
      const sessionId = sessionIdOf(session) ?? '';
      const told = sessionId.length > MAX_SESSION_ID ? '' : Buffer.from(sessionId).toString('base64url');
      const version = createHash('sha256').update(session.refreshToken).digest('base64url').slice(0, 11);
      const named = `${PREFIX}.${id}.${version}.${told}`;
      return `${named}.${macOf(keys[0], named).toString('base64url')}`;
    },
    read(value) {
      if (value.length > MAX_LENGTH || !value.startsWith(`${PREFIX}.`)) return undefined;
      const [, id, version, told, mac, ...rest] = value.split('.') as [string, ...Partial<string[]>];
      if (!id || !version || told === undefined || !mac || rest.length > 0) return undefined;
      const given = Buffer.from(mac, 'base64url');
      // Only the canonical form: otherwise the last character could change and the value still be taken.
      if (given.length !== 32 || given.toString('base64url') !== mac) return undefined;
      const named = `${PREFIX}.${id}.${version}.${told}`;
      if (!keys.some((key) => timingSafeEqual(macOf(key, named), given))) return undefined;
      return { id, sessionId: Buffer.from(told, 'base64url').toString() || undefined };
    },
  };
}
