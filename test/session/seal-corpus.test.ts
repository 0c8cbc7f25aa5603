import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { open } from '../../src/session/iron-seal.js';
import { openSession } from '../../src/session/sealed-session.js';
import { FRAMEWORKS } from '../support/frameworks.js';
import { createCorpusApp, type CorpusApp } from '../support/corpus-app.js';
import { tryAll } from '../support/tally.js';
import { ADA } from '../support/app.js';
import { ironOpens, madeSeals } from '../support/generated/seals.js';

/** The form that every SDK writes. iron-webcrypto reads other forms too, which are rejected here. */
const WRITTEN =
  /^Fe26\.2\*1\*[0-9a-f]{64}\*([\w-]{22})\*([\w-]+)\*(?:[1-9]\d{0,15})?\*[0-9a-f]{64}\*([\w-]{43})~2$/;

/** A ciphertext in another spelling, which iron-webcrypto does not read. It can only be signed with the password. */
const SPELT = /^(?:[^*]*\*){4}[\w-]*\*/;

function isWritten(value: string): boolean {
  const [, ...parts] = WRITTEN.exec(value) ?? [];
  return (
    parts.length > 0 && parts.every((part) => Buffer.from(part, 'base64url').toString('base64url') === part)
  );
}

describe.each(FRAMEWORKS)('generated seals on %s', (framework) => {
  let at: CorpusApp;
  beforeAll(async () => {
    at = await createCorpusApp(framework);
  });
  afterAll(() => at.close());

  test('a seal signs in exactly the user that iron-webcrypto finds in it', async (context) => {
    const { cookiePassword } = at.workos.options;
    const genuine = (await at.workos.signIn({ user: ADA })).split('=')[1]!;
    const now = at.workos.clock.now();
    const session = open(genuine, [cookiePassword], now) as object;
    const rows = madeSeals(session, cookiePassword, 160).filter(
      (_, index) => index % 4 === FRAMEWORKS.indexOf(framework),
    );
    let signedIn = 0;
    await tryAll(context, { corpus: 'seals, made', on: framework }, rows, async ({ value }) => {
      const answer = await at.raw('/protected', [`Cookie: wos-session=${value}`]);
      expect(answer.slice(0, 60)).toMatch(/^HTTP\/1\.1 (?:200|400|401|431) /);
      expect(answer).not.toMatch(/^set-cookie/im);
      const isIn = answer.startsWith('HTTP/1.1 200');
      if (isIn) signedIn += 1;
      // HTTP removes whitespace around a header value.
      const byIron = await ironOpens(value.trim(), cookiePassword, now);
      if (isIn && SPELT.test(value)) expect(byIron).toEqual(session);
      else if (!isIn && isWritten(value)) expect(byIron).not.toEqual(session);
      return 1;
    });
    expect(signedIn).toBeGreaterThan(rows.length / 20);
    expect(at.served()).toBe(signedIn);
  });
});

test('a generated seal opens if and only if iron-webcrypto opens it, and never throws', async (context) => {
  const password = 'correct-horse-battery-staple-0123456789';
  const now = 1_767_225_600_000;
  const session = { accessToken: 'a.b.c', refreshToken: 'rt', user: { id: 'user_1' } };
  await tryAll(
    context,
    { corpus: 'seals, made', on: 'function' },
    madeSeals(session, password, 500),
    async ({ value }) => {
      const byIron = await ironOpens(value, password, now);
      const opened = open(value, [password], now);
      if (opened !== undefined && SPELT.test(value)) expect(opened).toEqual(byIron);
      else if (isWritten(value)) expect(byIron).toBeUndefined();
      const person = openSession(value, [password], now);
      if (person) expect(person).toEqual({ ...session, extension: {} });
      return 1;
    },
  );
});
