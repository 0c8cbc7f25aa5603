import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { type CookieConfig, createCookies, fingerprint, headerRoom, pairs } from '../../src/http/cookies.js';
import { COOKIE_CONFIG } from '../support/cookie-config.js';

const cookies = createCookies(COOKIE_CONFIG, 600);
const SECRETS = Array.from({ length: 5 }, (_, index) => String(index).repeat(43));
const EPOCH = 'Expires=Thu, 01 Jan 1970 00:00:00 GMT';
const PREFIX = 'wos-auth-verifier-';

function request(cookie?: string): IncomingMessage {
  const req = new IncomingMessage(new Socket());
  if (cookie !== undefined) req.headers.cookie = cookie;
  return req;
}

/** The Set-Cookie headers of an operation on a request that has this Cookie header. */
function sent(
  cookie: string | undefined,
  act: (req: IncomingMessage, res: ServerResponse) => void,
): string[] {
  const req = request(cookie);
  const res = new ServerResponse(req);
  act(req, res);
  res.writeHead(200);
  return [res.getHeader('set-cookie') ?? []].flat().map(String);
}

test.each<[string | undefined, string[]]>([
  [undefined, []],
  ['', []],
  ['other=x', []],
  ['wos-session=a', ['a']],
  ['  wos-session = a ; b=c', ['a']],
  ['wos-session=a=b', ['a=b']],
  ['=x; wos-session=a', ['a']],
  ['wos-session', []],
  [' wos-session=a', ['a']],
  ['wos-session= a', ['a']],
  ['wos-session= a ; other=b', ['a']],
  ['wos-session=a; other=b', ['a']],
  ['other=b; wos-session=a', ['a']],
  ['xwos-session=a', []],
  // A different name of the same length as our cookie's.
  ['other-name=a', []],
  ['wos-sessionX', []],
  ['wos-sessionx=a', []],
  ['wos-session=a; wos-session=b; wos-session=c; wos-session=d', ['a', 'b', 'c', 'd']],
  ['wos-session=a; wos-session.0=b', ['a', 'b']],
  ['wos-session=a; wos-session.0=b; wos-session.1=c', ['a', 'bc', 'b']],
  ['wos-session.0=a', ['a']],
  ['wos-session.0=a; wos-session.1=b', ['ab', 'a']],
  ['wos-session.2=c; wos-session.1=b; wos-session.0=a', ['abc', 'ab', 'a']],
  ['wos-session.0=a; wos-session.2=c', ['a']],
  ['wos-session.1=b', []],
  ['wos-session.0=a; wos-session.0=b', ['a', 'b']],
  ['wos-session.0=x; wos-session.0=a; wos-session.1=b', ['xb', 'x', 'ab', 'a']],
  ['wos-session.0=x; wos-session.0=a; wos-session.0=y; wos-session.1=b', ['xb', 'x', 'ab', 'a', 'yb', 'y']],
  ['wos-session.0=a; wos-session.1=b; wos-session.2=c; wos-session.3=d', ['abc', 'ab', 'a']],
  ['wos-session.00=a', []],
  ['wos-session.0x=a', []],
  ['wos-sessionX0=a', []],
])('the session in %s', (header, values) => {
  expect(cookies.sessionValues(request(header))).toEqual(values);
});

test('setting a session in one cookie or in chunks removes the cookies of the other form', () => {
  const set = (cookie: string | undefined, sealed: string) =>
    sent(cookie, (req, res) => {
      cookies.setSession(req, res, sealed, () => true);
    });
  const whole = ['wos-session=abc; Max-Age=60; Path=/; HttpOnly; SameSite=Lax'];
  expect(set(undefined, 'abc')).toEqual(whole);
  expect(set('wos-session=x', 'abc')).toEqual(whole);
  const stale = set(
    'wos-session.0=a; wos-session.10=b; wos-session.x=c; wos-session.x0=c; wos-session.100=c; wos-sessionX0=c; other=d',
    'abc',
  );
  expect(stale.filter((line) => line.includes('Max-Age=0')).map((line) => line.split('=', 1)[0])).toEqual([
    'wos-session.0',
    'wos-session.10',
  ]);
  const names = (lines: string[]) => lines.map((line) => line.split('=', 1)[0]);
  expect(names(set('wos-session=a', 'x'.repeat(5000)))).toEqual([
    'wos-session',
    'wos-session.0',
    'wos-session.1',
  ]);
  const room = 4096 - 'wos-session.0=; Max-Age=60; Path=/; HttpOnly; SameSite=Lax'.length;
  expect(names(set(undefined, 'x'.repeat(room)))).toEqual(['wos-session']);
  expect(names(set(undefined, 'x'.repeat(room + 1)))).toEqual(['wos-session.0', 'wos-session.1']);
  expect(names(set(undefined, 'x'.repeat(room * 3)))).toHaveLength(3);
  expect(() => set(undefined, 'x'.repeat(room * 3 + 1))).toThrow(
    `the session has ${room * 3 + 1} bytes, and three cookies hold ${room * 3}`,
  );
});

test('with strict cookies, setting a session also removes the cookies that browsers do not send to the callback', () => {
  const strict = createCookies({ ...COOKIE_CONFIG, sameSite: 'strict' }, 600);
  for (const sentByBrowser of [undefined, 'wos-session=planted', 'wos-session.7=planted']) {
    const lines = sent(sentByBrowser, (req, res) => {
      strict.setSession(req, res, 'abc', () => true);
    });
    const names = lines.map((line) => line.split('=', 1)[0]);
    expect(names).toEqual(
      expect.arrayContaining(['wos-session', 'wos-session.0', 'wos-session.1', 'wos-session.2']),
    );
    expect(lines.filter((line) => line.startsWith('wos-session='))).toEqual([
      'wos-session=abc; Max-Age=60; Path=/; HttpOnly; SameSite=Strict',
    ]);
  }
});

test('a session that has ended by the time headers are written is not set', () => {
  const lines = sent(undefined, (req, res) => {
    cookies.setSession(req, res, 'abc', () => false);
  });
  expect(lines).toEqual([]);
});

test('clearing removes the session cookie and its chunks, and nothing else', () => {
  const lines = sent('wos-session.0=a; wos-session.1=b; other=c; wos-session-x=d', (req, res) => {
    cookies.clearSession(req, res);
  });
  expect(lines.map((line) => line.split('=', 1)[0])).toEqual([
    'wos-session',
    'wos-session.0',
    'wos-session.1',
  ]);
  for (const line of lines)
    expect(line).toMatch(new RegExp(`=; Max-Age=0; Path=/; ${EPOCH}; HttpOnly; SameSite=Lax$`));
});

test.each([
  [{ sameSite: 'strict' }, 'SameSite=Strict', 'SameSite=Lax'],
  [{ sameSite: 'none', secure: true }, 'Secure; SameSite=None', 'Secure; SameSite=None'],
  [
    { domain: 'example.com' },
    'Max-Age=60; Domain=example.com; Path=/',
    'Max-Age=600; Domain=example.com; Path=/',
  ],
] as const)('with %j the session cookie has %s and a transaction cookie %s', (change, session, flow) => {
  const own = createCookies({ ...COOKIE_CONFIG, ...change }, 600);
  const [line] = sent(undefined, (req, res) => {
    own.setSession(req, res, 'abc', () => true);
  });
  expect(line).toContain(session);
  const [other] = sent(undefined, (req, res) => {
    own.setTransaction(req, res, 'abc', SECRETS[0]!);
  });
  expect(other).toContain(flow);
});

test('a transaction has a cookie named after its state, every secret in it is tried, and it is cleared by name', () => {
  const name = PREFIX + fingerprint('state');
  expect(
    sent(undefined, (req, res) => {
      cookies.setTransaction(req, res, 'state', SECRETS[0]!);
    }),
  ).toEqual([`${name}=${SECRETS[0]!}; Max-Age=600; Path=/; HttpOnly; SameSite=Lax`]);
  const header = `${name}=a; ${PREFIX}00000000=${SECRETS[0]!}; ${SECRETS.map((secret) => `${name}=${secret}`).join('; ')}`;
  expect(cookies.transactionValues(request(header), 'state')).toEqual(SECRETS);
  expect(
    sent(undefined, (_req, res) => {
      cookies.clearTransaction(res, 'state');
    }),
  ).toEqual([`${name}=; Max-Age=0; Path=/; ${EPOCH}; HttpOnly; SameSite=Lax`]);
});

test('the oldest transaction cookies are removed beyond five, and beyond the budget of all cookies', () => {
  const flow = (index: number) => `${PREFIX}0000000${index}=${SECRETS[0]!}`;
  const flows = (count: number) => Array.from({ length: count }, (_, index) => flow(index)).join('; ');
  const dropped = (header: string) =>
    sent(header, (req, res) => {
      cookies.setTransaction(req, res, 'state', SECRETS[0]!);
    })
      .filter((line) => line.includes('Max-Age=0'))
      .map((line) => line.split('=', 1)[0]!.slice(-1));
  expect(dropped(`a=b; ${flows(4)}`)).toEqual([]);
  expect(dropped(`a=b; ${flows(5)}`)).toEqual(['0']);
  expect(dropped(`a=b; ${flows(8)}`)).toEqual(['0', '1', '2', '3']);
  // 14336 bytes for all cookies, including those of the application and of the session.
  const others = (bytes: number) => `a=${'x'.repeat(bytes - 'a=; '.length)}; `;
  const each = flow(0).length + '; '.length;
  expect(dropped(others(14_336 - 3 * each + 2) + flows(2))).toEqual([]);
  expect(dropped(others(14_336 - 3 * each + 3) + flows(2))).toEqual(['0']);
  expect(dropped(others(14_336) + flows(2))).toEqual(['0', '1']);
  // Those beyond five make room for the new one.
  const withFour = 14_336 - 5 * each + 2;
  expect(dropped(others(withFour) + flows(8))).toEqual(['0', '1', '2', '3']);
  expect(dropped(others(withFour + 1) + flows(8))).toEqual(['0', '1', '2', '3', '4']);
  expect(dropped(others(withFour + 1 + each) + flows(8))).toEqual(['0', '1', '2', '3', '4', '5']);
});

test('a request leaves 14336 bytes for cookies, less those that it has', () => {
  expect(headerRoom(request())).toBe(14_336);
  expect(headerRoom(request('a=b; c=d'))).toBe(14_328);
  expect(pairs('a=b; c; =d;e= f=g ')).toEqual([
    ['a', 'b'],
    ['', 'd'],
    ['e', 'f=g'],
  ]);
  expect(pairs(undefined)).toEqual([]);
});

test('a value that does not have the length of a secret is not one', () => {
  const name = PREFIX + fingerprint('state');
  const [secret] = SECRETS as [string];
  const values = [`${secret}A`, `A${secret}`, secret.slice(1), `${secret} x`, secret];
  const header = values.map((value) => `${name}=${value}`).join('; ');
  expect(cookies.transactionValues(request(header), 'state')).toEqual([secret]);
});

test('a value is sent as it is, and the name of a transaction always has eight digits', () => {
  const lines = sent(undefined, (req, res) => {
    cookies.setSession(req, res, 'a+b/c=', () => true);
  });
  expect(lines[0]).toMatch(/^wos-session=a\+b\/c=;/);
  for (let state = 0; state < 100; state += 1) expect(fingerprint(String(state))).toHaveLength(8);
});

test('all transaction cookies can be cleared at once, and no other cookie is', () => {
  const lines = sent(`${PREFIX}a=1; x${PREFIX}b=2; other=3; ${PREFIX}c=4`, (req, res) => {
    cookies.clearTransactions(req, res);
  });
  expect(lines.map((line) => line.split('=', 1)[0])).toEqual([`${PREFIX}a`, `${PREFIX}c`]);
});

test("the sign-in marker lives ten seconds and is cleared, both with the session's attributes", () => {
  const strict = createCookies({ ...COOKIE_CONFIG, sameSite: 'strict', domain: 'example.com' }, 600);
  const set = sent(undefined, (_req, res) => {
    strict.setSignInMarker(res, 'abc');
  });
  const attributes = 'HttpOnly; SameSite=Strict';
  expect(set).toEqual([`wos-signed-in=abc; Max-Age=10; Domain=example.com; Path=/; ${attributes}`]);
  const values = 'wos-signed-in=a; wos-signed-in=b; other=x; wos-signed-in=c; wos-signed-in=d';
  expect(strict.signInMarkerValues(request(values))).toEqual(['a', 'b', 'c', 'd']);
  const clear = strict.clearSignInMarker;
  expect(sent('wos-signed-in=a', clear)).toEqual([
    `wos-signed-in=; Max-Age=0; Domain=example.com; Path=/; ${EPOCH}; ${attributes}`,
  ]);
  expect(sent('other=a', clear)).toEqual([]);
});

const SECURE = { ...COOKIE_CONFIG, secure: true } as const;

/** The lines of each cookie that an instance can set. */
function allSet(change: Partial<CookieConfig>): Record<'session' | 'marker' | 'transaction', string> {
  const own = createCookies({ ...COOKIE_CONFIG, ...change }, 600);
  const [session] = sent(undefined, (req, res) => {
    own.setSession(req, res, 'abc', () => true);
  });
  const [marker] = sent(undefined, (_req, res) => {
    own.setSignInMarker(res, 'abc');
  });
  const [transaction] = sent(undefined, (req, res) => {
    own.setTransaction(req, res, 'state', SECRETS[0]!);
  });
  return { session: session!, marker: marker!, transaction: transaction! };
}

test.each([
  [{}, ''],
  [{ domain: 'example.com' }, ''],
  [SECURE, '__Host-'],
  [{ ...SECURE, domain: 'example.com' }, '__Secure-'],
])('with %j, the prefix of all cookies but the session is "%s"', (change, prefix) => {
  const { session, marker, transaction } = allSet(change);
  expect(session).toMatch(/^wos-session=abc;/);
  expect(marker.split('=', 1)).toEqual([`${prefix}wos-signed-in`]);
  expect(transaction.split('=', 1)).toEqual([`${prefix}${PREFIX}${fingerprint('state')}`]);
  for (const line of [session, marker, transaction])
    expect(line.includes('; Secure')).toBe('secure' in change);
});

test('only the session cookie has the path of the options, and all cookies are partitioned together', () => {
  const { session, marker, transaction } = allSet({ ...SECURE, path: '/app', partitioned: true });
  expect(session).toContain('; Path=/app;');
  for (const line of [marker, transaction]) expect(line).toContain('; Path=/;');
  for (const line of [session, marker, transaction]) expect(line).toContain('; Partitioned');
  for (const line of Object.values(allSet(SECURE))) expect(line).not.toContain('Partitioned');
});

test('a session that ends with the browser has no Max-Age, in one cookie or in chunks', () => {
  const own = createCookies({ ...COOKIE_CONFIG, endsWithBrowser: true }, 600);
  for (const length of [10, 5000]) {
    const lines = sent(undefined, (req, res) => {
      own.setSession(req, res, 'x'.repeat(length), () => true);
    });
    for (const line of lines) expect(line).toMatch(/=x+; Path=\/; HttpOnly; SameSite=Lax$/);
  }
});

test('with a domain, host-only cookies from before are cleared, and without one there are none', () => {
  const own = createCookies({ ...COOKIE_CONFIG, domain: 'example.com' }, 600);
  const had = 'wos-session=old; wos-session.0=a; other=b';
  const hostOnly = (name: string) => `${name}=; Max-Age=0; Path=/; ${EPOCH}; HttpOnly; SameSite=Lax`;
  const ofDomain = (name: string) =>
    `${name}=; Max-Age=0; Domain=example.com; Path=/; ${EPOCH}; HttpOnly; SameSite=Lax`;
  const set = sent(had, (req, res) => {
    own.setSession(req, res, 'abc', () => true);
  });
  expect(set.toSorted()).toEqual(
    [
      hostOnly('wos-session'),
      hostOnly('wos-session.0'),
      ofDomain('wos-session.0'),
      'wos-session=abc; Max-Age=60; Domain=example.com; Path=/; HttpOnly; SameSite=Lax',
    ].toSorted(),
  );
  expect(sent(had, own.clearSession).toSorted()).toEqual(
    [
      hostOnly('wos-session'),
      hostOnly('wos-session.0'),
      ofDomain('wos-session'),
      ofDomain('wos-session.0'),
    ].toSorted(),
  );
  expect(sent(had, cookies.clearSession)).toEqual(['wos-session', 'wos-session.0'].map(hostOnly));
});

test('a response clears at most sixteen planted cookies of a kind, and first those that a session can have', () => {
  const planted = Array.from({ length: 30 }, (_, index) => `wos-session.${29 - index}=x`).join('; ');
  const names = (lines: string[]) => lines.map((line) => line.split('=', 1)[0]);
  const chunks = Array.from({ length: 16 }, (_, index) => `wos-session.${index}`);
  expect(names(sent(planted, cookies.clearSession))).toEqual(['wos-session', ...chunks]);
  const set = sent(planted, (req, res) => {
    cookies.setSession(req, res, 'abc', () => true);
  });
  expect(names(set)).toEqual([...chunks, 'wos-session']);
  const signIns = Array.from({ length: 30 }, (_, index) => `${PREFIX}${index + 10}=x`).join('; ');
  const oldest = Array.from({ length: 16 }, (_, index) => `${PREFIX}${index + 10}`);
  expect(names(sent(signIns, cookies.clearTransactions))).toEqual(oldest);
  const started = sent(signIns, (req, res) => {
    cookies.setTransaction(req, res, 'state', SECRETS[0]!);
  });
  expect(names(started)).toEqual([...oldest, PREFIX + fingerprint('state')]);
});

test('the session is the last cookie of a response, and the sign-in marker the first', () => {
  const lines = sent('wos-session.0=a', (req, res) => {
    cookies.setSession(req, res, 'abc', () => true);
    cookies.setTransaction(req, res, 'state', SECRETS[0]!);
    cookies.setSignInMarker(res, 'abc');
  });
  expect(lines.map((line) => line.split('=', 1)[0])).toEqual([
    'wos-signed-in',
    PREFIX + fingerprint('state'),
    'wos-session.0',
    'wos-session',
  ]);
});

test('of planted chunks, the combinations of the same position come first, and the others up to a limit', () => {
  const chunks = (index: number, values: string) =>
    Array.from(values, (value) => `wos-session.${index}=${value}`).join('; ');
  const values = (header: string) => cookies.sessionValues(request(header));
  expect(values(`${chunks(0, 'ab')}; ${chunks(1, 'cd')}`)).toEqual(['ac', 'a', 'bd', 'b', 'ad', 'bc']);
  // The first of each name, the last of each name, and everything between them.
  expect(values(`${chunks(0, 'abc')}; ${chunks(1, 'de')}`).slice(0, 6)).toEqual([
    ...['ad', 'a', 'be', 'b', 'ce', 'c'],
  ]);
  expect(values(`${chunks(0, 'abc')}; ${chunks(1, 'de')}`)).toHaveLength(9);
  const many = `${chunks(0, 'abcdefghij')}; ${chunks(1, 'klmnopqrst')}; ${chunks(2, 'uvwxyzABCD')}`;
  const found = values(many);
  expect(found.slice(0, 3)).toEqual(['aku', 'ak', 'a']);
  expect(found).toContain('jtD');
  expect(new Set(found).size).toBe(found.length);
  expect(found.length).toBeGreaterThan(60);
  expect(found.length).toBeLessThan(200);
});

test('the chunks of a session are found if as many planted ones follow each of them', () => {
  const planted = (index: number, count: number) => Array<string>(count).fill(`wos-session.${index}=x`);
  const header = [
    ...[...planted(0, 100), 'wos-session.0=real', ...planted(0, 2)],
    ...[...planted(1, 30), 'wos-session.1=session', ...planted(1, 2)],
  ].join('; ');
  expect(cookies.sessionValues(request(header))).toContain('realsession');
});

test('a polluted Object.prototype adds no attribute to a cookie', () => {
  const prototype = Object.prototype as { domain?: string };
  prototype.domain = 'evil.example';
  try {
    expect(allSet({}).session).not.toContain('evil');
  } finally {
    delete prototype.domain;
  }
});
