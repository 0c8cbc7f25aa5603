import { describe, expect, test } from 'vitest';
import { createTestWorkOS } from 'authkit-express/testing';
import { GOOD, GOOD_SSO, problemsOf, ssoProblemsOf } from './problem-of.js';

const HERE = ['localhost', 'app.localhost', '127.0.0.1', '127.1.2.3', '[::1]'];
const ELSEWHERE = [
  'app.example.com',
  '192.168.1.5',
  '10.0.0.1',
  '0.0.0.0',
  'host.docker.internal',
  'localhost.example.com',
  'notlocalhost',
  '127.0.0.1.example.com',
  '128.0.0.1',
  '[::2]',
  '[::ffff:a00:1]',
];

describe('T57 http off this machine is refused unless allowInsecureHttp is set', () => {
  const kinds: [what: string, problems: (host: string, more?: object) => string[]][] = [
    ['redirectUri', (host, more) => problemsOf({ ...GOOD, redirectUri: `http://${host}/callback`, ...more })],
    [
      'redirectUri of sso()',
      (host, more) => ssoProblemsOf({ ...GOOD_SSO, redirectUri: `http://${host}/sso/callback`, ...more }),
    ],
    ['apiHttps', (host, more) => problemsOf({ ...GOOD, apiHttps: false, apiHostname: host, ...more })],
    [
      'clientRedirectUris',
      (host, more) => problemsOf({ ...GOOD, clientRedirectUris: [`http://${host}/cb`], ...more }),
    ],
    [
      'trustedOrigins',
      (host, more) =>
        problemsOf({ ...GOOD, trustedOrigins: ['https://spa.example.com', `http://${host}:8080`], ...more }),
    ],
    [
      'trustedOrigins of sso()',
      (host, more) => ssoProblemsOf({ ...GOOD_SSO, trustedOrigins: [`http://${host}`], ...more }),
    ],
  ];
  describe.each(kinds)('%s', (_, problems) => {
    test.each(ELSEWHERE)('%s', (host) => {
      expect(problems(host)).toEqual([expect.stringContaining('allowInsecureHttp: true')]);
      expect(problems(host, { allowInsecureHttp: true })).toEqual([]);
      expect(problems(host, { allowInsecureHttp: false })).toHaveLength(1);
    });
    test.each(HERE)('%s is this machine', (host) => {
      expect(problems(host)).toEqual([]);
    });
  });

  test('each trusted http origin is reported, and an origin in returnToOrigins may use http', () => {
    const origins = ['http://a.example', 'https://b.example', 'http://localhost:5173', 'http://c.example'];
    expect(problemsOf({ ...GOOD, trustedOrigins: origins })).toEqual([
      expect.stringMatching(
        /^trustedOrigins contains http:\/\/a\.example: .* use https, or set allowInsecureHttp/,
      ),
      expect.stringContaining('trustedOrigins contains http://c.example:'),
    ]);
    expect(problemsOf({ ...GOOD, returnToOrigins: origins })).toEqual([]);
  });

  test('the environment cannot turn off https silently', () => {
    expect(problemsOf(GOOD, { WORKOS_API_HTTPS: 'false' })).toEqual([
      expect.stringContaining('the API key and tokens unencrypted to api.workos.com'),
    ]);
  });

  test('allowInsecureHttp must be true or false', () => {
    expect(problemsOf({ ...GOOD, allowInsecureHttp: 'yes' })).toEqual([
      'allowInsecureHttp must be true or false',
    ]);
  });
});

describe('T57 redirect URIs of clients', () => {
  const of = (uri: string) => problemsOf({ ...GOOD, clientRedirectUris: [uri] });

  test.each([
    'com.example.app:/callback',
    'com.example.app://callback',
    'COM.example.app:/callback',
    'io.github.some-one.app:/cb?x=1',
    'https://spa.example.com/callback',
    'http://127.0.0.1:49152/callback',
    'http://[::1]:49152/callback',
    'http://localhost/callback',
  ])('%s is accepted', (uri) => {
    expect(of(uri)).toEqual([]);
  });

  test.each([
    'myapp://callback',
    'intent://x/#Intent;scheme=x;end',
    'intent:x',
    'mailto:a@b.c',
    'tel:1',
    'sms:1',
    'callto:1',
    'javascript:alert(1)',
    'data:text/html,x',
    'vbscript:x',
    'file:///etc/passwd',
    'blob:https://x/y',
    'about:blank',
    'ftp://x/y',
    'ws://x/y',
    'wss://x/y',
    'view-source:https://x',
    'filesystem:https://x/y',
    'ms-settings:x',
    'chrome://x/y',
    'market://details',
    'itms-apps://x',
    'android-app://com.example',
    'https://user:secret@spa.example.com/cb',
    'https://spa.example.com/cb#x',
    'com.example.app:/call back',
    'com.example.app:\\callback',
    '.example:/x',
    'com.:/x',
    'com..x:/x',
    '//spa.example.com',
    '/callback',
    'callback',
    '',
  ])('%s is refused', (uri) => {
    expect(of(uri)).toHaveLength(1);
  });
});

describe('T57 paths and passwords that cannot be safe', () => {
  test.each([
    'https://app.example.com//evil.example/callback',
    'https://app.example.com/.//evil.example/callback',
    'https://app.example.com/x//callback',
    'https://app.example.com/\\evil.example/callback',
  ])('%s: routes would become addresses of another host', (redirectUri) => {
    expect(problemsOf({ ...GOOD, redirectUri })).toHaveLength(1);
  });

  test('the password of the test WorkOS is refused at any other WorkOS', async () => {
    const workos = await createTestWorkOS();
    const { options } = workos;
    await workos.close();
    const { cookiePassword } = options;
    expect(problemsOf({ ...GOOD, cookiePassword })).toEqual([expect.stringContaining('test WorkOS')]);
    expect(problemsOf({ ...GOOD, cookiePassword: [GOOD.cookiePassword, cookiePassword] })).toEqual([
      expect.stringContaining('cookiePassword 2'),
    ]);
    expect(ssoProblemsOf({ ...GOOD_SSO, cookiePassword })).toHaveLength(1);
    expect(problemsOf({ ...options, redirectUri: GOOD.redirectUri })).toEqual([]);
  });
});
