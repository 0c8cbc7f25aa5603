import { expect, onTestFinished, test } from 'vitest';
import { createCorpusApp } from '../support/corpus-app.js';
import { ADA, createTestApp } from '../support/app.js';

test('N02 a request target in absolute form or with two slashes is not remembered as returnTo', async () => {
  const at = await createCorpusApp('express5');
  onTestFinished(() => at.close());
  for (const target of [
    'http://evil.example/protected',
    '//evil.example/x',
    '/\\evil.example',
    'HTTP://evil.example',
    '*',
  ]) {
    const answer = await at.raw(target, ['Accept: text/html']);
    expect(answer, target).toMatch(/^HTTP\/1\.1 302 [^]*\nlocation: \/auth\/login\r\n/i);
  }
});

test('T05 a returnTo in the query, the state or the request target never leaves the origin', async () => {
  const at = await createCorpusApp('express5');
  onTestFinished(() => at.close());
  const hostile = [
    '//evil.example',
    '/\\evil.example',
    '/%09/evil.example',
    'https://evil.example',
    '/.//evil.example',
  ];
  for (const returnTo of hostile) {
    for (const begun of [await at.begin(returnTo), await at.sealed({ returnTo })]) {
      const reply = await at.finish(begun);
      expect({ status: reply.status, location: reply.location }).toEqual({
        status: 302,
        location: `${at.origin}/`,
      });
    }
    const remembered = await at.raw(returnTo, ['Accept: text/html']);
    expect(remembered).not.toMatch(/^location: .*evil/im);
  }
});

test('T06 returnTo cannot name the login, logout or callback route', async () => {
  const { origin, browser, signIn } = await createTestApp('express5');
  for (const own of ['/logout', '/LOGOUT/', '/%6cogin', '/callback?code=x', '/login/GoogleOAuth']) {
    const landed = await signIn(ADA, `/login?returnTo=${encodeURIComponent(own)}`);
    expect(landed.url, own).toBe(`${origin}/`);
    expect(await browser.cookie(origin, 'wos-session')).toBeDefined();
  }
  // Mounted at the root with a prefix in the redirect URI, the routes exist both with and without the prefix.
  const at = await createCorpusApp('express5');
  onTestFinished(() => at.close());
  for (const own of ['/login', '/Login/google', '/logout', '/callback', '/auth/login', '/auth/logout'])
    expect((await at.finish(await at.begin(own))).location, own).toBe(`${at.origin}/`);
});
