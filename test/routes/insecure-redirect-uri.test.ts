import type { IncomingMessage, ServerResponse } from 'node:http';
import { expect, test } from 'vitest';
import { createTestApp } from '../support/app.js';
import { send } from '../support/browser.js';

/** Creates an app whose `/start` begins a sign-in with this redirect URI. Returns the URL or the error code. */
async function starting(redirectUri: string, allowInsecureHttp?: boolean): Promise<string> {
  const { origin } = await createTestApp('express5', {
    authkit: allowInsecureHttp === undefined ? {} : { allowInsecureHttp },
    routes: (app, auth) => {
      app.route('/start', (req: IncomingMessage, res: ServerResponse) => {
        auth.getSignInUrl(req, res, { redirectUri }).then(
          (url) => res.end(url),
          (error: unknown) => res.end((error as { code: string }).code),
        );
      });
    },
  });
  return (await send(`${origin}/start`)).body;
}

test.each([
  'http://app.example.com/callback',
  'HTTP://10.0.0.1/callback',
  'http://localhost.evil.com/callback',
])(
  'T57 a sign-in with the redirect URI %s is refused, unless insecure http is allowed',
  async (redirectUri) => {
    expect(await starting(redirectUri)).toBe('invalid_request');
    expect(await starting(redirectUri, true)).toContain('/user_management/authorize?');
  },
);

test.each([
  'https://app.example.com/callback',
  'http://localhost:3000/callback',
  'http://[::1]:3000/callback',
])('a sign-in with the redirect URI %s is started', async (redirectUri) => {
  expect(await starting(redirectUri)).toContain('/user_management/authorize?');
});
