import { inspect } from 'node:util';
import { NotFoundException, WorkOS } from '@workos-inc/node';
import { describe, expect, test, vi } from 'vitest';
import { authkit, sso } from 'authkit-express';
import { createTestWorkOS } from 'authkit-express/testing';
import { onTestFinished } from 'vitest';
import { resolveConfig } from '../../src/config/index.js';
import { createAppClient, installedSDK } from '../../src/workos/load-sdk.js';
import { createTestApp, json } from '../support/app.js';
import { FRAMEWORKS } from '../support/frameworks.js';
import { send } from '../support/browser.js';

async function start(options: Parameters<typeof createTestWorkOS>[0] = {}) {
  const workos = await createTestWorkOS(options);
  onTestFinished(() => workos.close());
  return workos;
}

describe.each(FRAMEWORKS)('auth.workos on %s', (framework) => {
  test('calls WorkOS from a handler with the configuration of the instance', async () => {
    const { origin, workos } = await createTestApp(framework, {
      routes: (app, auth) => {
        app.route('/ada', (_req, res, next) => {
          auth.workos.userManagement.getUser('user_nobody').then(
            () => {
              next(new Error('this user does not exist'));
            },
            (error: unknown) => {
              json(res, { name: (error as Error).constructor.name });
            },
          );
        });
      },
    });
    expect(JSON.parse((await send(`${origin}/ada`)).body)).toEqual({ name: 'NotFoundException' });
    expect(workos.callsTo('user').map(({ path, status }) => [path, status])).toEqual([
      ['/user_management/users/user_nobody', 404],
    ]);
  });
});

test('it is a WorkOS client of the SDK, with its exceptions, and always the same one', async () => {
  const workos = await start();
  const auth = authkit({ ...workos.options });
  // The import that authkit() has begun.
  await import('@workos-inc/node');
  await Promise.resolve();
  const client = auth.workos;
  expect(client).toBeInstanceOf(WorkOS);
  expect(auth.workos).toBe(client);
  expect(client.clientId).toBe(workos.options.clientId);
  expect(new URL(client.baseURL).origin).toBe(workos.url);
  const [ada] = workos.users();
  expect(await client.userManagement.getUser(ada!.id)).toEqual(ada);
  await expect(client.userManagement.getUser('user_nobody')).rejects.toBeInstanceOf(NotFoundException);
  expect(client.userManagement.getJwksUrl(workos.options.clientId)).toContain(workos.url);
});

test('sso() has one as well', async () => {
  const workos = await start();
  const { options } = workos;
  const auth = sso({ ...options, redirectUri: 'http://localhost:3000/sso/callback' });
  expect((await auth.workos.userManagement.listUsers({ limit: 1 })).data).toHaveLength(1);
});

test('it can be read as soon as authkit() returns, also by destructuring', async () => {
  const workos = await start();
  const { workos: client } = authkit({ ...workos.options });
  expect((await client.userManagement.listUsers({ limit: 2 })).data).toHaveLength(2);
});

describe('the client that the application passes', () => {
  const CREDENTIALS = {
    redirectUri: 'https://app.example.com/callback',
    cookiePassword: 'a password for this test alone, 0123456789',
  };

  test('is auth.workos itself', () => {
    const workos = new WorkOS('sk_test_1', { clientId: 'client_1' });
    expect(authkit({ ...CREDENTIALS, workos }).workos).toBe(workos);
  });

  test.each([{ apiKey: 'sk_test_2' }, { apiHostname: 'auth.example.com' }])(
    'is not, if %j is another environment',
    (other) => {
      const workos = new WorkOS('sk_test_1', { clientId: 'client_1' });
      const client = authkit({ ...CREDENTIALS, workos, ...other }).workos;
      expect(client).not.toBe(workos);
      expect({ apiKey: client.key, apiHostname: new URL(client.baseURL).hostname }).toMatchObject(other);
    },
  );
});

test('it uses the fetch of the instance', async () => {
  const workos = await start();
  const fetched: string[] = [];
  const auth = authkit({
    ...workos.options,
    fetch: (input, init) => {
      fetched.push(new URL(input instanceof Request ? input.url : input).pathname);
      return fetch(input, init);
    },
  });
  await auth.workos.organizations.listOrganizations();
  expect(fetched).toEqual(['/organizations']);
});

test('the client is created when it is first read, and not by copying or printing the instance', async () => {
  const workos = await start();
  const config = resolveConfig({ ...workos.options }, {});
  const loaded = vi.fn(() => ({ WorkOS }));
  const read = createAppClient(config, { ...installedSDK, loadNow: loaded });
  expect(loaded).not.toHaveBeenCalled();
  expect(read()).toBe(read());
  expect(loaded).toHaveBeenCalledTimes(1);

  const auth = authkit({ ...workos.options });
  expect(Object.keys({ ...auth })).not.toContain('workos');
  expect(inspect(auth, { depth: 6 })).not.toContain(workos.options.apiKey);
});

test('the client and the exceptions that it throws are those that an import brings', async () => {
  const client = createAppClient(resolveConfig({ ...(await start()).options }, {}))();
  expect(client).toBeInstanceOf(WorkOS);
  await expect(client.organizations.getOrganization('org_missing')).rejects.toBeInstanceOf(NotFoundException);
});
