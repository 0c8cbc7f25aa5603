import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

/** The parameters of each document, as the document has them. */
const DOCUMENTS: Readonly<Record<string, readonly string[]>> = {
  getSignInUrl: ['organizationId', 'loginHint', 'redirectUri', 'prompt', 'state', 'returnTo'],
  'Get an authorization URL': [
    'response_type',
    'client_id',
    'code_challenge',
    'code_challenge_method',
    'redirect_uri',
    'connection_id',
    'organization_id',
    'provider',
    'state',
    'login_hint',
    'domain_hint',
    'screen_hint',
    'provider_scopes',
  ],
  handleAuth: [
    'returnPathname',
    'onSuccess',
    'user',
    'oauthTokens',
    'authenticationMethod',
    'organizationId',
    'state',
    'onError',
    'error',
    'request',
    'baseURL',
  ],
  'SSO: Get Authorization URL': [
    'base_url',
    'response_type',
    'client_id',
    'redirect_uri',
    'organization',
    'connection',
    'provider',
    'state',
    'login_hint',
    'domain_hint',
  ],
  '/signin/provider/{provider}': [
    'provider',
    'allowedRoles',
    'defaultRole',
    'displayName',
    'locale',
    'metadata',
    'redirectTo',
    'connect',
    'state',
    'providerSpecificParams',
    'connection',
    'organization',
    'codeChallenge',
    'Location',
    'status',
    'message',
    'error',
  ],
};

const page = readFileSync(new URL('../docs/parameters.md', import.meta.url), 'utf8');

interface Row {
  name: string;
  here: string;
  file: string;
  title: string;
}

/** The rows of a table, below the heading of its document. */
function rowsOf(document: string): Row[] {
  const [, section = ''] = page.split(`## ${document}\n`);
  const [table = ''] = section.split('\n## ', 1);
  const cells = /^\| `([^`]+)` +\| (.*?) +\| `([^`]+)`: (.*?) +\|$/gm;
  return [...table.matchAll(cells)].map(([, name = '', here = '', file = '', title = '']) => ({
    name,
    here,
    file,
    title,
  }));
}

describe.each(Object.keys(DOCUMENTS))('%s', (document) => {
  test('each of its parameters is in the table, once, and says what it is here', () => {
    const rows = rowsOf(document);
    expect(rows.map(({ name }) => name)).toEqual(DOCUMENTS[document]);
    for (const { name, here } of rows) expect(here.length, name).toBeGreaterThan(5);
  });

  test('the test that shows it exists', () => {
    for (const { name, file, title } of rowsOf(document)) {
      const path = new URL(`../${file}`, import.meta.url);
      expect(existsSync(path), file).toBe(true);
      // A quote inside a name may be written as the source needs it.
      expect(readFileSync(path, 'utf8').replaceAll("\\'", "'"), name).toContain(title);
    }
  });
});
