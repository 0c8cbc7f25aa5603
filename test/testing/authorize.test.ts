import { describe, expect, test } from 'vitest';
import { authorizationUrl, exchange, REDIRECT_URI, start } from './application.js';

const asBrowser = (url: string) => fetch(url, { headers: { accept: 'text/html,*/*' } });

describe('the authorization endpoint', () => {
  test('returns the state unchanged', async () => {
    const workos = await start();
    const callback = new URL(await workos.authorize(authorizationUrl(workos)));
    expect(callback.origin + callback.pathname).toBe(REDIRECT_URI);
    expect(callback.searchParams.get('state')).toBe('a b+c%2F&=é');
    const silent = await workos.authorize(authorizationUrl(workos, { state: undefined }));
    expect(new URL(silent).searchParams.has('state')).toBe(false);
  });

  test('keeps the query of a redirect URI', async () => {
    const workos = await start();
    const url = authorizationUrl(workos, { redirect_uri: 'https://app.example/callback?tenant=1' });
    expect(await workos.authorize(url)).toMatch(/^https:\/\/app\.example\/callback\?tenant=1&code=/);
  });

  test('redirects with access_denied if the user denies the sign-in', async () => {
    const workos = await start();
    const { searchParams } = new URL(await workos.authorize(authorizationUrl(workos), { deny: true }));
    expect(searchParams.get('error')).toBe('access_denied');
    expect(searchParams.get('state')).toBe('a b+c%2F&=é');
    expect(searchParams.has('code')).toBe(false);
  });

  test.each([
    { client_id: 'client_other' },
    { redirect_uri: undefined },
    { redirect_uri: 'http://app.example/callback' },
    { redirect_uri: 'javascript:alert(1)' },
    { redirect_uri: 'https://app.example/callback#here' },
    { response_type: 'token' },
    { provider: undefined },
    { connection_id: 'conn_1' },
    { provider: 'GoogleOAuth', organization_id: 'org_1' },
    { code_challenge_method: 'plain' },
    { code_challenge: 'short' },
    { code_challenge: undefined },
    { max_age: 'soon' },
    { screen_hint: 'password' },
  ])('shows an error of its own for %o', async (changes) => {
    const workos = await start();
    const url = authorizationUrl(workos, changes);
    const [page, data] = await Promise.all([asBrowser(url), fetch(url)]);
    expect([page.status, data.status]).toEqual([400, 400]);
    expect(page.headers.get('content-type')).toMatch(/^text\/html/);
    expect(await data.json()).toHaveProperty('error_description');
    await expect(workos.authorize(url)).rejects.toThrow('WorkOS refuses this sign-in with 400');
  });

  test('accepts only listed redirect URIs, and no repeated parameter', async () => {
    const workos = await start({ redirectUris: ['http://localhost:4000/callback'] });
    await expect(workos.authorize(authorizationUrl(workos))).rejects.toThrow('invalid_redirect_uri');
    const url = authorizationUrl(workos, { redirect_uri: 'http://localhost:4000/callback' });
    await expect(workos.authorize(`${url}&state=2`)).rejects.toThrow('repeated');
    expect(await workos.authorize(url)).toContain('code=');
  });

  test('signs users in only to their own organizations', async () => {
    const workos = await start({
      organizations: [{ name: 'A' }, { name: 'B' }],
      users: [
        { email: 'ada@example.com', memberships: [{ organizationId: 'A' }, { organizationId: 'B' }] },
        { email: 'alan@example.com' },
      ],
    });
    const organizationOf = async (choice: Parameters<typeof workos.authorize>[1], changes = {}) => {
      const callback = new URL(await workos.authorize(authorizationUrl(workos, changes), choice));
      return (await exchange(workos, callback.searchParams.get('code'))).body['organization_id'];
    };
    const a = await organizationOf({});
    const b = await organizationOf({ organizationId: await idOf('B') });
    expect(a).not.toBe(b);
    expect(await organizationOf({ organizationId: null })).toBeUndefined();
    expect(await organizationOf({}, { organization_id: b })).toBe(b);
    expect(await organizationOf({ user: 'alan@example.com' })).toBeUndefined();
    await expect(organizationOf({ user: 'alan@example.com', organizationId: b! })).rejects.toThrow(
      'not a member',
    );

    async function idOf(name: string) {
      const page = await (await asBrowser(authorizationUrl(workos))).text();
      return new RegExp(`value="(org_\\w+)"[^>]*><span[^>]*>[^<]*</span>${name}`).exec(page)?.[1] ?? '';
    }
  });
});

describe('the sign-in page', () => {
  test('lists the users and the organizations of each', async () => {
    const workos = await start();
    const response = await asBrowser(authorizationUrl(workos));
    const page = await response.text();
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(page).toContain('<html lang="en">');
    expect(page).toContain('to continue to localhost:3000');
    for (const word of [
      'Ada Lovelace',
      'Grace Hopper',
      'Alan Turing',
      'Analytical Engines',
      'No organization',
      'Deny',
    ]) {
      expect(page).toContain(word);
    }
    expect(page).not.toMatch(/<script|https?:\/\/(?!localhost)/);
  });

  test('shows the user of the login hint first, with the focus', async () => {
    const workos = await start();
    const page = await (await asBrowser(authorizationUrl(workos, { login_hint: 'ALAN@example.com' }))).text();
    expect(page.indexOf('Alan Turing')).toBeLessThan(page.indexOf('Ada Lovelace'));
    expect(page.match(/<button[^>]*autofocus/g)).toHaveLength(1);
    const stranger = await (await asBrowser(authorizationUrl(workos, { login_hint: '<b>@x' }))).text();
    expect(stranger).toContain('No user has the address &#60;b&#62;@x');
  });

  test('shows only the members of a requested organization', async () => {
    const workos = await start();
    const [ada] = workos.users();
    const code = new URL(
      await workos.authorize(authorizationUrl(workos), { user: ada!.id }),
    ).searchParams.get('code');
    const organization = (await exchange(workos, code)).body['organization_id'];
    const page = await (await asBrowser(authorizationUrl(workos, { organization_id: organization }))).text();
    expect(page).toContain('as a member of Analytical Engines');
    expect(page).not.toContain('Alan Turing');
    expect(page).not.toContain('No organization');
  });

  test('creates a user', async () => {
    const workos = await start();
    const url = authorizationUrl(workos, { screen_hint: 'sign-up', login_hint: 'mary@example.com' });
    const page = await (await asBrowser(url)).text();
    expect(page).toContain('value="mary@example.com"');
    expect(page).toContain('<label for="email">');
    const signUp = (email: string) =>
      fetch(`${workos.url}/user_management/authorize/choose`, {
        method: 'POST',
        headers: { accept: 'text/html' },
        body: new URLSearchParams({
          request: new URL(url).search.slice(1),
          email,
          first_name: 'Mary',
          last_name: '',
        }),
        redirect: 'manual',
      });
    const callback = new URL((await signUp('mary@example.com')).headers.get('location') ?? '');
    const { body } = await exchange(workos, callback.searchParams.get('code'));
    expect(body.user).toMatchObject({ email: 'mary@example.com', name: 'Mary', last_name: null });
    const again = await signUp('mary@example.com');
    expect(again.status).toBe(400);
    expect(await again.text()).toContain('A user with the address mary@example.com exists already');
    expect((await signUp('nobody')).status).toBe(400);
  });
});

describe('the logout endpoint', () => {
  const logout = (url: string, query: Record<string, string>) =>
    fetch(`${url}/user_management/sessions/logout?${new URLSearchParams(query).toString()}`, {
      redirect: 'manual',
    });

  test('redirects to return_to, or else to the application', async () => {
    const workos = await start();
    const locations = async (query: Record<string, string>) =>
      (await logout(workos.url, query)).headers.get('location');
    expect(await locations({ session_id: 'session_1', return_to: 'https://app.example/bye' })).toBe(
      'https://app.example/bye',
    );
    expect(await locations({ session_id: 'session_1' })).toBe('http://localhost:3000');
    await workos.authorize(authorizationUrl(workos, { redirect_uri: 'https://app.example/callback' }));
    expect(await locations({ session_id: 'session_1' })).toBe('https://app.example');
  });

  test('refuses a missing session and an unsafe return_to', async () => {
    const workos = await start({ homepage: 'https://home.example' });
    expect((await logout(workos.url, {})).status).toBe(400);
    expect((await logout(workos.url, { session_id: 's', return_to: 'javascript:alert(1)' })).status).toBe(
      400,
    );
    expect((await logout(workos.url, { session_id: 's' })).headers.get('location')).toBe(
      'https://home.example',
    );
    expect((await fetch(`${workos.url}/organizations`)).status).toBe(401);
  });
});
