import { createCipheriv, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTestWorkOS, type TestWorkOS } from 'authkit-express/testing';
import { open } from '../src/session/seal.js';

/** Many people, signed in at a WorkOS in this process, and cookies of theirs. */
export interface Sessions {
  readonly workos: TestWorkOS;
  /** Path of the JSON that contenders read: credentials, a user, tokens. */
  readonly fixture: string;
  /** `Cookie` headers, one a person. */
  readonly cookies: readonly string[];
  /** A `Cookie` header that nobody has seen before: the session of one of these people, sealed again. */
  fresh: () => string;
  /** The same of one given session. */
  freshOf: (cookie: string) => () => string;
  close: () => Promise<void>;
}

interface Payload {
  accessToken: string;
  refreshToken: string;
  user: object;
}

/** A day, so that nothing expires under way. */
const LIFETIME = 86_400;

/** What makes a session 2.3 KB as a cookie: a few permissions, and what a profile of WorkOS holds anyway. */
const PERMISSIONS = ['billing:read', 'billing:write', 'reports:read', 'members:manage', 'settings:read'];

export async function createSessions(count: number): Promise<Sessions> {
  const workos = await createTestWorkOS({ accessTokenLifetime: LIFETIME });
  // Less its clock, which is a function.
  const options = JSON.parse(JSON.stringify(workos.options)) as typeof workos.options;
  const { cookiePassword } = options;
  const payloadOf = (cookie: string) =>
    JSON.stringify(open(cookie.slice(cookie.indexOf('=') + 1), [cookiePassword], 0));
  const cookies: string[] = [];
  const payloads: string[] = [];
  for (let number = 0; number < count; number += 1) {
    const cookie = await workos.signIn({ user: personOf(number), role: 'admin', permissions: PERMISSIONS });
    cookies.push(cookie);
    payloads.push(payloadOf(cookie));
  }
  const first = JSON.parse(payloads[0] as string) as Payload;
  const fixture = join(tmpdir(), `authkit-express-bench-${process.pid}.json`);
  const { accessToken, refreshToken, user } = first;
  const claims = JSON.parse(Buffer.from(accessToken.split('.')[1] ?? '', 'base64url').toString()) as object;
  writeFileSync(fixture, JSON.stringify({ workos: options, user, accessToken, refreshToken, claims }));
  let next = 0;
  return {
    workos,
    fixture,
    cookies,
    fresh: () => `wos-session=${seal(payloads[(next += 1) % payloads.length] as string, cookiePassword)}`,
    freshOf: (cookie) => {
      const payload = payloadOf(cookie);
      return () => `wos-session=${seal(payload, cookiePassword)}`;
    },
    close: async () => {
      rmSync(fixture, { force: true });
      await workos.close();
    },
  };
}

function personOf(number: number) {
  return {
    email: `person${number}@example.com`,
    emailVerified: true,
    firstName: 'Ada',
    lastName: 'Lovelace',
    profilePictureUrl: `https://images.example.com/profiles/${number}.png`,
    metadata: { plan: 'professional', department: 'engines' },
  };
}

/** iron's format, synchronously: a million of them have to be made. The tests hold ours to iron's own reader. */
export function seal(json: string, password: string): string {
  const key = (salt: string) => pbkdf2Sync(password, salt, 1, 32, 'sha1');
  const [salt, hmacSalt, iv] = [
    randomBytes(32).toString('hex'),
    randomBytes(32).toString('hex'),
    randomBytes(16),
  ];
  const cipher = createCipheriv('aes-256-cbc', key(salt), iv);
  const ciphertext = Buffer.concat([cipher.update(json), cipher.final()]).toString('base64url');
  const signed = `Fe26.2*1*${salt}*${iv.toString('base64url')}*${ciphertext}*`;
  const mac = createHmac('sha256', key(hmacSalt)).update(signed).digest('base64url');
  return `${signed}*${hmacSalt}*${mac}~2`;
}
