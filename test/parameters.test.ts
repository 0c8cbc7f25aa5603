import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import { ROOT } from './support/documentation.js';
import { testFiles } from './support/test-files.js';

/** Titles of the tests that check how this package handles a parameter, each under a short name. */
const TESTS = {
  anotherRedirectUri:
    'another redirect URI is sent to WorkOS, sealed in the state, and used to resolve returnTo',
  clientCode: 'gets a code instead of a session, and exchanges it for tokens once',
  conflict: 'an error about conflicting parameters names the options',
  deepLink: 'a link cannot change the redirect URI or the client id',
  linkedAccount: 'redirects a signed-in user to WorkOS Pipes and back',
  linkParameters: 'valid parameters of a link reach WorkOS, and never override those set in code',
  onError:
    'onError can respond, pass the error on, throw or do nothing, and there is always exactly one response',
  onSuccess: 'onSuccess can deny a sign-in, add data, choose the page and read the state',
  pkce: 'sends PKCE with every request, and uses a transaction once',
  provider: 'each provider has a route, by its short name and by the name of WorkOS',
  providerParameters: 'provider parameters are encoded as the WorkOS SDK encodes them',
  providerSignIn: 'a user can sign in with a provider, whose tokens reach onSuccess',
  signUpAttributes: 'sign-up attributes reach onSuccess, marked as given by the user or by the application',
  signUpScreen: '/signup opens the sign-up screen if the route is configured, whatever the link says',
  ssoParameters:
    'requires exactly one selector, sends the parameters of the SSO API, and keeps those set in code',
  ssoSignIn: 'redirects from a guarded page to the identity provider and back, with the profile',
  ssoState: "onSuccess can deny a sign-in, and gets the application's state",
  state: "the application's state is returned unchanged",
  unfinished: '%s continues with the required connection, and keeps returnTo, state and attributes',
  unknownProvider:
    'an unknown provider is left to the application in a path, and invalid_provider in a query',
} as const;

/** Each document's parameters, exactly as the document lists them, with the test that checks each one. */
const DOCUMENTS: Readonly<Record<string, Readonly<Record<string, keyof typeof TESTS>>>> = {
  getSignInUrl: {
    organizationId: 'linkParameters',
    loginHint: 'linkParameters',
    redirectUri: 'anotherRedirectUri',
    prompt: 'linkParameters',
    state: 'state',
    returnTo: 'anotherRedirectUri',
  },
  'Get an authorization URL': {
    response_type: 'pkce',
    client_id: 'deepLink',
    code_challenge: 'pkce',
    code_challenge_method: 'pkce',
    redirect_uri: 'deepLink',
    connection_id: 'conflict',
    organization_id: 'linkParameters',
    provider: 'provider',
    state: 'state',
    login_hint: 'linkParameters',
    domain_hint: 'linkParameters',
    screen_hint: 'signUpScreen',
    provider_scopes: 'providerSignIn',
  },
  handleAuth: {
    returnPathname: 'onSuccess',
    onSuccess: 'onSuccess',
    user: 'onSuccess',
    oauthTokens: 'providerSignIn',
    authenticationMethod: 'providerSignIn',
    organizationId: 'unfinished',
    state: 'state',
    onError: 'onError',
    error: 'onError',
    request: 'onError',
    baseURL: 'anotherRedirectUri',
  },
  'SSO: Get Authorization URL': {
    base_url: 'ssoSignIn',
    response_type: 'ssoSignIn',
    client_id: 'ssoSignIn',
    redirect_uri: 'ssoSignIn',
    organization: 'ssoSignIn',
    connection: 'ssoParameters',
    provider: 'ssoParameters',
    state: 'ssoState',
    login_hint: 'ssoParameters',
    domain_hint: 'ssoParameters',
  },
  '/signin/provider/{provider}': {
    provider: 'unknownProvider',
    allowedRoles: 'deepLink',
    defaultRole: 'signUpAttributes',
    displayName: 'signUpAttributes',
    locale: 'signUpAttributes',
    metadata: 'signUpAttributes',
    redirectTo: 'providerSignIn',
    connect: 'linkedAccount',
    state: 'clientCode',
    providerSpecificParams: 'providerParameters',
    connection: 'provider',
    organization: 'provider',
    codeChallenge: 'clientCode',
    Location: 'provider',
    status: 'unknownProvider',
    message: 'unknownProvider',
    error: 'unknownProvider',
  },
};

const page = readFileSync(join(ROOT, 'docs/parameters.md'), 'utf8');

/** The list below the heading of a document: `- `name`: what it does here`, over one or more lines. */
function entriesOf(document: string): { name: string; here: string }[] {
  const [, section = ''] = page.split(`## ${document}\n`);
  const [list = ''] = section.split('\n## ', 1);
  const [, ...entries] = list.split(/^- /m);
  return entries.map((entry) => {
    const [, name = '', here = ''] = /^`([^`]+)`: (.+)$/s.exec(entry) ?? [];
    return { name, here: here.trim() };
  });
}

/** The titles of the tests in a file: only `test('title', …)` and `test.each(…)('title', …)` count. */
function titlesIn(source: string): string[] {
  const titles: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && isTest(node.expression)) {
      const [title] = node.arguments;
      if (title && ts.isStringLiteralLike(title)) titles.push(title.text);
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile('file.test.ts', source, ts.ScriptTarget.Latest));
  return titles;
}

function isTest(callee: ts.Expression): boolean {
  const isNamedTest = (node: ts.Expression) => ts.isIdentifier(node) && node.text === 'test';
  if (isNamedTest(callee)) return true;
  if (!ts.isCallExpression(callee) || !ts.isPropertyAccessExpression(callee.expression)) return false;
  const { expression, name } = callee.expression;
  return isNamedTest(expression) && name.text === 'each';
}

describe.each(Object.keys(DOCUMENTS))('%s', (document) => {
  test('the page lists each of its parameters once, in order, with what it does here', () => {
    const entries = entriesOf(document);
    expect(entries.map(({ name }) => name)).toEqual(Object.keys(DOCUMENTS[document]!));
    for (const { name, here } of entries) expect(here.length, name).toBeGreaterThan(5);
  });
});

test('every parameter has a test that exists', () => {
  const titles = new Set(testFiles().flatMap((file) => titlesIn(readFileSync(file, 'utf8'))));
  for (const [document, parameters] of Object.entries(DOCUMENTS)) {
    for (const [name, key] of Object.entries(parameters)) {
      expect(titles, `${document}: ${name}`).toContain(TESTS[key]);
    }
  }
});

test('a title in a comment, in a string or of a skipped test is not that of a test', () => {
  const source = `
    // test('in a comment', () => {});
    const text = "test('in a string', () => {})";
    describe('a group', () => {
      test('a test', () => {});
      test.skip('skipped', () => {});
      test.todo('to do');
      test.each([[1]])('one of several, %s', () => {});
    });`;
  expect(titlesIn(source)).toEqual(['a test', 'one of several, %s']);
});
