import { createCipheriv, createHmac, generateKeyPairSync, pbkdf2Sync, randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import express from 'express';
import { authkit, requireAuth } from 'authkit-express';
import { createTestWorkOS, type TestSignIn, type TestWorkOS } from 'authkit-express/testing';
import { open } from '../src/session/iron-seal.js';

/** Users who are signed in at a WorkOS in this process. */
export interface Sessions {
  readonly workos: TestWorkOS;
  /** Path of the JSON that contenders read: credentials, a user, tokens. */
  readonly fixture: string;
  /** A `Cookie` header for each user, which the package itself has sealed. */
  readonly cookies: readonly string[];
  /** A `Cookie` header that no server has seen: the session of one of these users, sealed again. */
  fresh: () => string;
  /** The same for one given session. */
  freshOf: (cookie: string) => () => string;
  /** Signs a user in and returns the `Cookie` header, which the package itself has sealed. */
  signIn: (options: TestSignIn) => Promise<string>;
  /** Access tokens of different users, of sessions of their own. */
  tokens: (count: number) => Promise<readonly string[]>;
  apiKey: string;
  close: () => Promise<void>;
}

interface Payload {
  accessToken: string;
  refreshToken: string;
  user: object;
}

/** A day, so that nothing expires during a run. */
const LIFETIME = 86_400;

/** With a few permissions, and what profiles at WorkOS contain, a session is a cookie of 2.3 KB. */
const PERMISSIONS = ['billing:read', 'billing:write', 'reports:read', 'members:manage', 'settings:read'];

export async function createSessions(count: number): Promise<Sessions> {
  const workos = await createTestWorkOS({ accessTokenLifetime: LIFETIME });
  const { cookiePassword, clientId, redirectUri } = workos.options;
  const payloadOf = (cookie: string) =>
    JSON.stringify(open(cookie.slice(cookie.indexOf('=') + 1), [cookiePassword], 0));
  const app = await startApp(workos);
  const signIn = (options: TestSignIn) => sealedByPackage(app.url, workos, options);
  const cookies: string[] = [];
  for (let number = 0; number < count; number += 1)
    cookies.push(await signIn({ user: userOf(number), role: 'admin', permissions: PERMISSIONS }));
  const payloads = cookies.map(payloadOf);
  const { accessToken, refreshToken, user } = JSON.parse(payloads[0] as string) as Payload;
  const claims = JSON.parse(Buffer.from(accessToken.split('.')[1] ?? '', 'base64url').toString()) as {
    iss: string;
  };
  const fixture = join(tmpdir(), `authkit-express-bench-${process.pid}.json`);
  const token = { issuer: claims.iss, audience: clientId, jwksUri: `${workos.url}/sso/jwks/${clientId}` };
  // The options without their clock, which is a function.
  const options = { ...workos.options, now: undefined, redirectUri };
  writeFileSync(
    fixture,
    JSON.stringify({ workos: options, user, accessToken, refreshToken, claims, token, clerk: clerkKeys() }),
  );
  const tokens: string[] = [];
  let next = 0;
  return {
    workos,
    fixture,
    cookies,
    signIn,
    fresh: () => `wos-session=${seal(payloads[(next += 1) % payloads.length] as string, cookiePassword)}`,
    freshOf: (cookie) => {
      const payload = payloadOf(cookie);
      return () => `wos-session=${seal(payload, cookiePassword)}`;
    },
    tokens: async (wanted) => {
      while (tokens.length < wanted) tokens.push(await tokenOf(workos, tokens.length));
      return tokens.slice(0, wanted);
    },
    apiKey: workos.createApiKey(),
    close: async () => {
      rmSync(fixture, { force: true });
      app.close();
      await workos.close();
    },
  };
}

interface App {
  url: string;
  close: () => void;
}

async function startApp(workos: TestWorkOS): Promise<App> {
  const app = express();
  app.use(authkit(workos.options), requireAuth(), (_req, res) => {
    res.end();
  });
  const server = createServer(app).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Sends a session that has expired to the package, which refreshes it, so that the cookie is of its own making. */
async function sealedByPackage(url: string, workos: TestWorkOS, options: TestSignIn): Promise<string> {
  const expired = await workos.signIn({ ...options, expiresIn: -60 });
  const response = await fetch(url, { headers: { cookie: expired } });
  await response.arrayBuffer();
  // A large session is set as several cookies, which are one value.
  const value = response.headers
    .getSetCookie()
    .map((line) => line.slice(line.indexOf('=') + 1, line.indexOf(';')))
    .join('');
  if (response.status !== 200 || value === '') throw new Error('a session was not refreshed');
  return `wos-session=${value}`;
}

function tokenOf(workos: TestWorkOS, number: number): Promise<string> {
  const { clientId } = workos.options;
  return workos.accessToken({
    user: userOf(number),
    role: 'admin',
    permissions: PERMISSIONS,
    // Other packages require an audience.
    claims: { aud: clientId },
  });
}

function userOf(number: number) {
  return {
    email: `person${number}@example.com`,
    emailVerified: true,
    firstName: 'Ada',
    lastName: 'Lovelace',
    profilePictureUrl: `https://images.example.com/profiles/${number}.png`,
    metadata: { plan: 'professional', department: 'engines' },
  };
}

function clerkKeys() {
  return generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
}

/** iron's format, synchronously, because a million of them are made. */
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
