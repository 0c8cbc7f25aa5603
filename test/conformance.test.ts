import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as oauth from 'oauth4webapi';
import { check } from 'recheck';
import { Cookie } from 'tough-cookie';
import ts from 'typescript';
import { expect, test } from 'vitest';
import { NAVIGATION, send } from './support/browser.js';
import { ADA, createTestApp } from './support/app.js';
import { parseSetCookie } from './support/leak-checks/set-cookie.js';

test("oauth4webapi agrees about our authorization requests and WorkOS's responses", async () => {
  const { origin, workos, browser } = await createTestApp('express5');
  const server: oauth.AuthorizationServer = { issuer: workos.url };
  const client: oauth.Client = { client_id: workos.options.clientId };
  const judged = (callback: URL, state: string) => {
    try {
      oauth.validateAuthResponse(server, client, callback, state);
      return true;
    } catch {
      return false;
    }
  };
  const changes: ((callback: URL) => void)[] = [
    () => undefined,
    (callback) => {
      callback.searchParams.set('state', 'another');
    },
    (callback) => {
      callback.searchParams.append('state', callback.searchParams.get('state')!);
    },
    (callback) => {
      callback.searchParams.append('code', 'another');
    },
    (callback) => {
      callback.searchParams.set('iss', 'https://evil.example');
    },
    (callback) => {
      callback.searchParams.set('error', 'access_denied');
    },
    (callback) => {
      callback.searchParams.delete('state');
    },
  ];
  for (const change of changes) {
    const { location } = await browser.go(`${origin}/login`);
    const asked = new URL(location!).searchParams;
    const callback = new URL(await workos.authorize(location!, { user: ADA }));
    change(callback);
    const reply = await browser.go(callback.href);
    const isIn = reply.setCookies.some((line) => /^wos-session=[^;]/.test(line));
    // oauth4webapi leaves repeated codes to its caller. Here they are rejected (RFC 6749 section 3.1).
    const isRepeated = callback.searchParams.getAll('code').length > 1;
    expect(isIn, String(change)).toBe(judged(callback, asked.get('state')!) && !isRepeated);
    if (!isIn) continue;
    const verifier = String(workos.callsTo('code').at(-1)!.body!['code_verifier']);
    expect(asked.get('code_challenge')).toBe(await oauth.calculatePKCECodeChallenge(verifier));
    expect(asked.get('code_challenge_method')).toBe('S256');
  }
});

test('tough-cookie reads each of our cookies as the strict parser of the leak checks does', async () => {
  const { origin, browser, workos, cookie } = await createTestApp('express5');
  const lines: string[] = [];
  const keep = (setCookies: string[]) => void lines.push(...setCookies);
  const login = await browser.go(`${origin}/login`);
  keep(login.setCookies);
  keep((await browser.go(await workos.authorize(login.location!, { user: ADA }))).setCookies);
  keep((await send(`${origin}/logout`, { method: 'POST', headers: { cookie: await cookie() } })).setCookies);
  keep((await send(`${origin}/login`, { headers: NAVIGATION })).setCookies);
  expect(lines.length).toBeGreaterThanOrEqual(5);
  for (const line of lines) {
    const own = parseSetCookie(line);
    const theirs = Cookie.parse(line, { loose: false })!;
    expect({ name: theirs.key, value: theirs.value }).toEqual({ name: own.name, value: own.value });
    expect(theirs).toMatchObject({
      path: '/',
      httpOnly: true,
      maxAge: Number(own.attributes.get('max-age')),
    });
    expect(theirs.sameSite).toBe(own.attributes.get('samesite')!.toLowerCase());
  }
});

const SOURCE = fileURLToPath(new URL('../src', import.meta.url));

/** Every regular expression in the package's source. */
function literals(): { where: string; source: string; flags: string }[] {
  const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.ts'),
  );
  return files.flatMap((file) => {
    const found: { where: string; source: string; flags: string }[] = [];
    const tree = ts.createSourceFile(
      file,
      readFileSync(join(SOURCE, file), 'utf8'),
      ts.ScriptTarget.Latest,
      true,
    );
    const visit = (node: ts.Node) => {
      if (ts.isRegularExpressionLiteral(node)) {
        const [, source = '', flags = ''] = /^\/(.*)\/([a-z]*)$/.exec(node.text) ?? [];
        const { line } = tree.getLineAndCharacterOfPosition(node.getStart());
        found.push({ where: `${file}:${line + 1}`, source, flags });
      }
      ts.forEachChild(node, visit);
    };
    visit(tree);
    return found;
  });
}

/**
 * Removes counts, which only slow down the check: an expression that is linear for any count is linear for a small one.
 */
function unbounded(source: string): string {
  return source.replace(/\{(\d+)(?:,\d*)?\}/g, (_, least) => (least === '0' ? '*' : '+'));
}

/** Without time limits, so that the result does not depend on how busy the machine is. */
const UNHURRIED = { timeout: null, incubationTimeout: null, attackTimeout: null, seedingTimeout: null };

/**
 * The alternatives of an expression, each as an expression of its own, because a long list takes recheck half a minute.
 * In a list that is not repeated, they are tried one after another, so each may be checked by itself.
 */
function alternatives(source: string): string[] {
  const [, list] = /^\^\(\?:(.*)\)\$$/.exec(source) ?? [];
  const within = list === undefined ? undefined : splitList(list);
  return within?.map((part) => `^(?:${part})$`) ?? splitList(source) ?? [source];
}

/** The parts between the vertical bars that are in no group; `undefined` if a group ends that has not begun. */
function splitList(list: string): string[] | undefined {
  const parts = [''];
  let depth = 0;
  for (const [token] of list.matchAll(/\\.|\[(?:\\.|[^\]\\])*\]|[^]/gu)) {
    if (token === '(') depth += 1;
    if (token === ')') depth -= 1;
    if (depth < 0) return undefined;
    if (token === '|' && depth === 0) parts.push('');
    else parts.push(`${parts.pop()!}${token}`);
  }
  return parts;
}

test('an expression is split into its alternatives, and the one that backtracks is found', async () => {
  expect(alternatives('^a(b|c)|[|]\\|$')).toEqual(['^a(b|c)', '[|]\\|$']);
  expect(alternatives('^(?:a|(?:b|c)+)$')).toEqual(['^(?:a)$', '^(?:(?:b|c)+)$']);
  expect(alternatives('^(?:a|b)|(?:c|d)$')).toEqual(['^(?:a|b)', '(?:c|d)$']);
  const found = alternatives('^(?:a|(?:b|b)+)$').map((part) =>
    check(part, '', { ...UNHURRIED, randomSeed: 1 }),
  );
  expect((await Promise.all(found)).map(({ status }) => status)).toEqual(['safe', 'vulnerable']);
});

test(
  'recheck finds no regular expression in the package that backtracks without limit',
  { timeout: 600_000 },
  async () => {
    const all = literals();
    expect(all.length).toBeGreaterThan(20);
    const distinct = [
      ...new Map(all.map((literal) => [`/${literal.source}/${literal.flags}`, literal])).values(),
    ];
    const verdicts = await Promise.all(
      distinct.flatMap(({ where, source, flags }) =>
        alternatives(unbounded(source)).map(async (part) => {
          const { status } = await check(part, flags, { ...UNHURRIED, randomSeed: 1 });
          return `${status} ${where} /${part}/`;
        }),
      ),
    );
    expect(verdicts.filter((verdict) => !verdict.startsWith('safe '))).toEqual([]);
  },
);
