import { randomBytes } from 'node:crypto';
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { CookieJar } from 'tough-cookie';
import { expect, test } from 'vitest';
import type { AuthKitError } from 'authkit-express';
import { createCookies } from '../../src/http/cookies.js';
import { COOKIE_CONFIG } from '../support/cookie-config.js';
import { fc, LONG } from '../support/properties.js';
import { checkOwnCookie, parseSetCookie } from '../support/leak-checks/set-cookie.js';

const ORIGIN = 'http://localhost/';
const CHARACTERS = 'ABCDEFabcdef0123456789-_*.~';

/** Returns text of the given length, made of seal characters, which differs for each `salt`. */
function text(length: number, salt: number): string {
  const period = Array.from(
    CHARACTERS,
    (_, index) => CHARACTERS[(index * 7 + salt * 13) % CHARACTERS.length],
  );
  return period
    .join('')
    .repeat(Math.ceil(length / CHARACTERS.length))
    .slice(0, length);
}

/** One exchange with the browser that owns this jar. */
async function exchange(
  jar: CookieJar,
  act: (req: IncomingMessage, res: ServerResponse) => void,
): Promise<number> {
  const req = new IncomingMessage(new Socket());
  const cookie = await jar.getCookieString(ORIGIN);
  if (cookie !== '') req.headers.cookie = cookie;
  const res = new ServerResponse(req);
  act(req, res);
  res.writeHead(200);
  const lines = [res.getHeader('set-cookie') ?? []].flat().map(String);
  for (const line of lines) {
    checkOwnCookie(parseSetCookie(line));
    await jar.setCookie(line, ORIGIN);
  }
  return lines.length;
}

test(
  'a session of any size can be read back after growing and shrinking, and clearing it removes all of its cookies',
  LONG,
  async () => {
    const size = fc.oneof(
      fc.integer({ min: 1, max: 14_000 }),
      fc.constantFrom(1, 3990, 4000, 4010, 4096, 8000, 8040, 11_900, 12_100),
    );
    const cookies = createCookies(COOKIE_CONFIG, 600);
    await fc.assert(
      fc.asyncProperty(fc.array(size, { minLength: 1, maxLength: 6 }), async (sizes) => {
        const jar = new CookieJar(undefined, { rejectPublicSuffixes: false });
        let held: string | undefined;
        for (const [salt, length] of sizes.entries()) {
          const sealed = text(length, salt);
          await exchange(jar, (req, res) => {
            try {
              cookies.setSession(req, res, sealed, () => true);
              held = sealed;
            } catch (error) {
              // A session that is too large causes an error, and the earlier cookies are kept.
              expect((error as AuthKitError).code).toBe('cookie_too_large');
              expect(length).toBeGreaterThan(11_000);
            }
          });
          await exchange(jar, (req) => {
            expect(cookies.sessionValues(req)[0]).toBe(held);
          });
        }
        await exchange(jar, (req, res) => {
          cookies.clearSession(req, res);
        });
        expect(await jar.getCookieString(ORIGIN)).toBe('');
      }),
    );
  },
);

test('pending sign-ins stay within their limit, and the newest is always kept', LONG, async () => {
  const cookies = createCookies(COOKIE_CONFIG, 600);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 300, max: 7168 }), { minLength: 1, maxLength: 9 }),
      async (sizes) => {
        const jar = new CookieJar(undefined, { rejectPublicSuffixes: false });
        for (const [salt, length] of sizes.entries()) {
          const state = text(length, salt);
          const secret = randomBytes(32).toString('base64url');
          await exchange(jar, (req, res) => {
            cookies.setTransaction(req, res, state, secret);
          });
          await exchange(jar, (req) => {
            expect(cookies.transactionValues(req, state)).toEqual([secret]);
            expect((req.headers.cookie ?? '').length).toBeLessThan(400);
          });
        }
        const last = sizes.length - 1;
        const state = text(sizes[last]!, last);
        await exchange(jar, (_req, res) => {
          cookies.clearTransaction(res, state);
        });
        await exchange(jar, (req) => {
          expect(cookies.transactionValues(req, state)).toEqual([]);
        });
      },
    ),
  );
});
