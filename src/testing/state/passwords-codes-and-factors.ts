import { createHmac, randomBytes, randomInt } from 'node:crypto';
import { newId, newSecret } from './tokens.js';

const TEN_MINUTES = 600_000;
const DAY = 86_400_000;

/** What a one-time code is used for. */
export type CodePurpose = 'magic_auth' | 'email_verification' | 'radar_challenge';

/** A code that WorkOS sends by email. */
export interface OneTimeCode {
  readonly id: string;
  readonly purpose: CodePurpose;
  readonly userId: string;
  readonly email: string;
  /** A string of six digits. */
  readonly code: string;
  /** When the code was sent, in milliseconds since the epoch. All times in this file use this unit. */
  readonly createdAt: number;
  readonly expiresAt: number;
  isUsed: boolean;
}

export type CodeCheck = 'ok' | 'invalid' | 'expired' | 'used';

export interface OneTimeCodes {
  send: (purpose: CodePurpose, user: { id: string; email: string }) => OneTimeCode;
  find: (purpose: CodePurpose, id: string) => OneTimeCode | undefined;
  /** Returns the last code that was sent to a user, whatever its purpose. */
  latest: (userId: string) => OneTimeCode | undefined;
  /** Checks a code, and marks it as used if it is correct. */
  use: (purpose: CodePurpose, userId: string, code: string | undefined) => CodeCheck;
}

export function createOneTimeCodes(now: () => number): OneTimeCodes {
  const sent: OneTimeCode[] = [];
  return {
    send: (purpose, { id: userId, email }) => {
      const code = String(randomInt(1_000_000)).padStart(6, '0');
      const times = { createdAt: now(), expiresAt: now() + TEN_MINUTES };
      const made = { id: newId(purpose), purpose, userId, email, code, ...times, isUsed: false };
      sent.push(made);
      return made;
    },
    find: (purpose, id) => sent.find((one) => one.purpose === purpose && one.id === id),
    latest: (userId) => sent.findLast((one) => one.userId === userId),
    use: (purpose, userId, code) => {
      const found = sent.findLast(
        (one) => one.purpose === purpose && one.userId === userId && one.code === code,
      );
      if (!found) return 'invalid';
      if (found.isUsed) return 'used';
      if (now() >= found.expiresAt) return 'expired';
      found.isUsed = true;
      return 'ok';
    },
  };
}

export interface PasswordReset {
  readonly id: string;
  readonly userId: string;
  readonly email: string;
  readonly token: string;
  readonly createdAt: number;
  readonly expiresAt: number;
}

export interface Passwords {
  set: (userId: string, password: string) => void;
  /**
   * Records that the application has sent a password hash for the user. The hash itself is not stored, because the test
   * WorkOS cannot check a password against it.
   */
  setHash: (userId: string) => void;
  check: (userId: string, password: string) => 'ok' | 'wrong' | 'hashed';
  remove: (userId: string) => void;
  createReset: (user: { id: string; email: string }) => PasswordReset;
  findReset: (id: string) => PasswordReset | undefined;
  /**
   * Uses up a reset token, and returns the id of the user whose password is to be reset. Returns `undefined` if the
   * token is unknown, used or expired.
   */
  useReset: (token: string) => string | undefined;
}

/**
 * Creates the store for user passwords. They are stored in plain text, because they only give access to a test WorkOS.
 */
export function createPasswords(now: () => number): Passwords {
  const passwords = new Map<string, string | { isHash: true }>();
  const resets = new Map<string, PasswordReset>();
  return {
    set: (userId, password) => void passwords.set(userId, password),
    setHash: (userId) => void passwords.set(userId, { isHash: true }),
    check: (userId, password) => {
      const known = passwords.get(userId);
      if (typeof known === 'object') return 'hashed';
      return known !== undefined && known === password ? 'ok' : 'wrong';
    },
    remove: (userId) => void passwords.delete(userId),
    createReset: ({ id: userId, email }) => {
      const token = newSecret();
      const times = { createdAt: now(), expiresAt: now() + DAY };
      const reset = { id: newId('password_reset'), userId, email, token, ...times };
      resets.set(token, reset);
      return reset;
    },
    findReset: (id) => [...resets.values()].find((reset) => reset.id === id),
    useReset: (token) => {
      const reset = resets.get(token);
      resets.delete(token);
      return reset && now() < reset.expiresAt ? reset.userId : undefined;
    },
  };
}

/** A second factor: an authenticator app with time-based codes (RFC 6238). */
export interface AuthFactor {
  readonly id: string;
  readonly userId: string;
  readonly issuer: string;
  readonly account: string;
  /** The shared secret, in base 32. */
  readonly secret: string;
  readonly createdAt: number;
}

export interface AuthChallenge {
  readonly id: string;
  readonly factorId: string;
  readonly createdAt: number;
  readonly expiresAt: number;
  isUsed: boolean;
}

export interface AuthFactors {
  enroll: (factor: Pick<AuthFactor, 'userId' | 'issuer' | 'account'> & { secret?: string }) => AuthFactor;
  of: (userId: string) => readonly AuthFactor[];
  find: (id: string) => AuthFactor | undefined;
  remove: (id: string) => void;
  challenge: (factorId: string) => AuthChallenge;
  findChallenge: (id: string) => AuthChallenge | undefined;
  /** Checks the code for a challenge, and marks the challenge as used if the code is correct. */
  verify: (challenge: AuthChallenge, code: string | undefined) => CodeCheck;
  /** Returns the code that the authenticator app currently shows for this factor. */
  currentCode: (factor: AuthFactor) => string;
}

export function createAuthFactors(now: () => number): AuthFactors {
  const factors = new Map<string, AuthFactor>();
  const challenges = new Map<string, AuthChallenge>();
  return {
    enroll: ({ secret = base32(randomBytes(20)), ...fields }) => {
      const factor = { ...fields, secret, id: newId('auth_factor'), createdAt: now() };
      factors.set(factor.id, factor);
      return factor;
    },
    of: (userId) => [...factors.values()].filter((factor) => factor.userId === userId),
    find: (id) => factors.get(id),
    remove: (id) => void factors.delete(id),
    challenge: (factorId) => {
      const times = { createdAt: now(), expiresAt: now() + TEN_MINUTES };
      const challenge = { id: newId('auth_challenge'), factorId, ...times, isUsed: false };
      challenges.set(challenge.id, challenge);
      return challenge;
    },
    findChallenge: (id) => challenges.get(id),
    verify: (challenge, code) => {
      const factor = factors.get(challenge.factorId);
      if (challenge.isUsed) return 'used';
      if (now() >= challenge.expiresAt) return 'expired';
      // The codes of the previous and the next 30-second step are also accepted. RFC 6238 section 5.2 recommends
      // allowing at most one step.
      const isRight =
        factor && [-1, 0, 1].some((steps) => totp(factor.secret, now() + steps * STEP) === code);
      challenge.isUsed = isRight === true;
      return isRight ? 'ok' : 'invalid';
    },
    currentCode: ({ secret }) => totp(secret, now()),
  };
}

const STEP = 30_000;

/**
 * Returns the time-based code (RFC 6238) for a time in milliseconds since the epoch. The code is the HMAC-SHA1 of the
 * number of the 30-second step, truncated to six digits (RFC 4226 section 5.3).
 */
function totp(secret: string, at: number): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(at / STEP)));
  const mac = createHmac('sha1', fromBase32(secret)).update(counter).digest();
  const offset = (mac.at(-1) ?? 0) & 0xf;
  return String((mac.readUInt32BE(offset) & 0x7f_ff_ff_ff) % 1_000_000).padStart(6, '0');
}

/** The base 32 alphabet (RFC 4648 section 6). */
const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

function base32(bytes: Uint8Array): string {
  const bits = Array.from(bytes, (byte) => byte.toString(2).padStart(8, '0')).join('');
  return (bits.match(/.{5}/g) ?? []).map((five) => BASE32.charAt(Number.parseInt(five, 2))).join('');
}

function fromBase32(text: string): Buffer {
  const digits = Array.from(text.toUpperCase(), (char) => BASE32.indexOf(char)).filter((digit) => digit >= 0);
  const bits = digits.map((digit) => digit.toString(2).padStart(5, '0')).join('');
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((eight) => Number.parseInt(eight, 2)));
}
