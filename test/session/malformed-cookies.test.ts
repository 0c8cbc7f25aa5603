import { expect, onTestFinished, test } from 'vitest';
import { corpus, type Row } from '../support/corpora.js';
import { createCorpusApp } from '../support/corpus-app.js';
import { FETCH, NAVIGATION, send } from '../support/browser.js';
import { createTestApp, ADA } from '../support/app.js';

const flip = (text: string, at: number) =>
  text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1);

test('D01 fifty hostile cookies at a time each get a 4xx response', async () => {
  const at = await createCorpusApp('express5');
  onTestFinished(() => at.close());
  const seals = corpus<Row & { value: string }>('seals');
  const answers = await Promise.all(
    seals.slice(0, 50).map(({ value }) => at.raw('/protected', [`Cookie: wos-session=${value}`])),
  );
  for (const answer of answers) expect(answer).toMatch(/^HTTP\/1\.1 4/);
});

test('K05 a malformed session means anonymous, and its cookie is not cleared', async () => {
  const { origin, served } = await createTestApp('express5');
  for (const { value } of corpus<Row & { value: string }>('seal-bitflips').slice(0, 40)) {
    const reply = await send(`${origin}/account`, {
      headers: { ...NAVIGATION, cookie: `wos-session=${value}` },
    });
    expect({ status: reply.status, cookies: reply.setCookies }).toEqual({ status: 302, cookies: [] });
  }
  expect(served()).toBe(0);
});

test('K06 a planted cookie before the valid one is skipped', async () => {
  const { origin, cookie } = await createTestApp('express5');
  const reply = await send(`${origin}/account`, {
    headers: { ...FETCH, cookie: `wos-session=planted; ${await cookie()}` },
  });
  expect(reply.status).toBe(200);
});

test('T31 invalid encodings, huge cookies and many chunks get a response', async () => {
  const at = await createCorpusApp('express5');
  onTestFinished(() => at.close());
  const many = Array.from({ length: 900 }, (_, index) => `wos-session.${index}=x`).join('; ');
  for (const cookie of [
    `wos-session=${'x'.repeat(15_000)}`,
    `wos-session=${'*'.repeat(8000)}`,
    many,
    `${';'.repeat(8000)}=`,
    `wos-session=Fe26.2*1*${'a'.repeat(9000)}~2`,
  ]) {
    expect(await at.raw('/protected', [`Cookie: ${cookie}`])).toMatch(/^HTTP\/1\.1 (?:401|431) /);
  }
  expect(await at.raw(`/auth/login?returnTo=/${'%'.repeat(8000)}`, [])).toMatch(/^HTTP\/1\.1 302 /);
  expect(at.served()).toBe(0);
});

test('T08 a session altered anywhere is treated as no session, without an error', async () => {
  const { origin, cookie, served } = await createTestApp('express5');
  const session = (await cookie()).split('=')[1]!;
  // Covers every part of the seal, including the last characters of its MAC.
  const places = Array.from({ length: Math.ceil(session.length / 97) }, (_, index) => index * 97);
  for (const at of [...places, session.length - 12, session.length - 30]) {
    const reply = await send(`${origin}/account`, {
      headers: { ...FETCH, cookie: `wos-session=${flip(session, at)}` },
    });
    expect(reply.status).toBe(401);
  }
  expect(served()).toBe(0);
});

test('T11 other values before or after the session cookie are skipped, always in the same way', async () => {
  const { origin, cookie } = await createTestApp('express5');
  const session = await cookie({ user: ADA });
  const [, value = ''] = session.split('=');
  const pieces = `wos-session.0=${value.slice(0, 900)}; wos-session.1=${value.slice(900)}`;
  for (const header of [
    `wos-session=junk; ${session}`,
    `${session}; wos-session=junk`,
    `wos-session.0=junk; ${session}`,
    `wos-session=junk; ${pieces}`,
    `${pieces}; wos-session=junk`,
    `wos-session.0=junk; ${pieces}`,
    `${pieces}; wos-session.1=junk; wos-session.2=junk`,
  ]) {
    for (let time = 0; time < 2; time += 1) {
      const reply = await send(`${origin}/account`, { headers: { ...FETCH, cookie: header } });
      expect(reply.status, header.slice(0, 30)).toBe(200);
      expect(reply.setCookies).toEqual([]);
    }
  }
});
