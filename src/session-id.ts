import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Session } from './session.js';
import { deriveKey } from './stores/index.js';

/** Names of sessions that lie in the store, and the cookie values that carry them. */
export interface SessionIds {
  /** A new one that nobody can guess: 256 bits. */
  fresh: () => string;
  /** That of a session which is moved to the store: the same one for every request that brings the same cookie. */
  moved: (session: Session) => string;
  write: (id: string, session: Session) => string;
  /** The id in a cookie value of ours; anything else is `undefined`, and costs the store nothing. */
  read: (value: string) => string | undefined;
}

const PREFIX = 's1';
const MAX_LENGTH = 256;

/**
 * Cookie values are `s1.<id>.<version>.<mac>`. The MAC lets forged ones be refused without a look into the store; the
 * version changes with the session's tokens, so that a browser which was given newer ones is never answered from an
 * older memory.
 *
 * @param passwords The first makes values, all of them recognize one.
 */
export function createSessionIds(passwords: readonly [string, ...string[]]): SessionIds {
  const keys = passwords.map((password) => deriveKey(password, 'session ids')) as [Buffer, ...Buffer[]];
  const macOf = (key: Buffer, text: string) => createHmac('sha256', key).update(text).digest();
  return {
    fresh: () => randomBytes(32).toString('base64url'),
    moved: ({ refreshToken }) => macOf(keys[0], `moved ${refreshToken}`).toString('base64url'),
    write(id, { refreshToken }) {
      const version = createHash('sha256').update(refreshToken).digest('base64url').slice(0, 11);
      const named = `${PREFIX}.${id}.${version}`;
      return `${named}.${macOf(keys[0], named).toString('base64url')}`;
    },
    read(value) {
      if (value.length > MAX_LENGTH || !value.startsWith(`${PREFIX}.`)) return undefined;
      const [, id, version, mac, ...rest] = value.split('.');
      if (id === undefined || version === undefined || mac === undefined || rest.length > 0) return undefined;
      const given = Buffer.from(mac, 'base64url');
      // Only the canonical form: otherwise the last character could change and the value still be taken.
      if (given.length !== 32 || given.toString('base64url') !== mac) return undefined;
      const named = `${PREFIX}.${id}.${version}`;
      return keys.some((key) => timingSafeEqual(macOf(key, named), given)) ? id : undefined;
    },
  };
}
