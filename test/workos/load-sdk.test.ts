import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { resolveConfig } from '../../src/config/index.js';
import { createWorkOSClient, type WorkOSClient } from '../../src/workos/api-client.js';
import { installedSDK, installedVersion } from '../../src/workos/load-sdk.js';

describe('16H @workos-inc/node', () => {
  const options = {
    clientId: 'client_1',
    apiKey: 'sk_1',
    redirectUri: 'http://localhost:1/callback',
    cookiePassword: 'correct-horse-battery-staple-0123456789',
  };

  /** This process's warnings about the SDK. */
  function warnings(): string[] {
    const list: string[] = [];
    const listen = (warning: Error & { code?: string }) => {
      if (warning.code === 'AUTHKIT_SDK_MISSING') list.push(warning.message);
    };
    process.on('warning', listen);
    onTestFinished(() => void process.off('warning', listen));
    return list;
  }

  test.each<[string, string | undefined, () => Promise<never>]>([
    ['is missing', 'missing', () => Promise.reject(new Error("Cannot find package '@workos-inc/node'"))],
    ['is too old', '8.20.0', () => import('workos-node-8') as Promise<never>],
    ['is a little too old', '10.13.9', () => import('workos-node-8') as Promise<never>],
  ])('that %s is warned about at start-up, and is an error of its own', async (_, version, load) => {
    const seen = warnings();
    const client = createWorkOSClient(resolveConfig(options, {}), {
      ...installedSDK,
      load,
      version: () => version,
    });
    await new Promise(setImmediate);
    expect(seen).toHaveLength(1);
    expect(seen[0]).toContain('npm install @workos-inc/node');
    expect(seen[0]).toContain(version === 'missing' ? 'cannot be loaded' : 'is too old');
    await expectMissing(client);
    expect(seen).toHaveLength(1);
  });

  test.each<[string, () => Promise<never>]>([
    ['is missing', () => Promise.reject(new Error("Cannot find package '@workos-inc/node'"))],
    ['has no WorkOS', () => Promise.resolve({} as never)],
  ])('that %s in a bundle is an error of the first call, without a warning', async (_, load) => {
    const seen = warnings();
    await expectMissing(
      createWorkOSClient(resolveConfig(options, {}), { ...installedSDK, load, version: () => undefined }),
    );
    await new Promise(setImmediate);
    expect(seen).toEqual([]);
  });

  async function expectMissing(client: WorkOSClient): Promise<void> {
    const results = await Promise.all([
      client.refresh('rt', undefined),
      client.exchangeCode('code', 'verifier'),
      client.exchangeProfile('code', undefined),
      client.call(({ userManagement }) => userManagement.getUser('user_1')),
    ]);
    for (const result of results) {
      expect(result).toMatchObject({ kind: 'unavailable', error: { code: 'sdk_missing', status: 500 } });
    }
  }

  test.each<[string, () => unknown]>([
    ['10.14.0', () => import('workos-node-10')],
    ['11.0.0', () => import('@workos-inc/node')],
    ['12.0.0-beta.1', () => import('@workos-inc/node')],
  ])('of version %s is not warned about', async (version, load) => {
    const seen = warnings();
    const sdk = { ...installedSDK, load, version: () => version } as never;
    const client = createWorkOSClient(resolveConfig({ ...options, apiPort: 1 }, {}), sdk);
    const result = await client.refresh('rt', undefined);
    expect(result).toMatchObject({ kind: 'unavailable', error: { code: 'upstream_unavailable' } });
    expect(seen).toEqual([]);
  });

  test('is loaded by the first call and not before', async () => {
    let loaded = 0;
    const load = () => {
      loaded += 1;
      return import('@workos-inc/node');
    };
    const client = createWorkOSClient(resolveConfig({ ...options, apiPort: 1 }, {}), {
      ...installedSDK,
      load,
    });
    await client.fetchKeysResponse().catch(() => undefined);
    await new Promise(setImmediate);
    expect(loaded).toBe(0);
    await client.refresh('rt', undefined);
    expect(loaded).toBe(1);
  });

  test('is found where it is installed, and its version is read without loading it', async () => {
    const manifest = new URL('../../node_modules/@workos-inc/node/package.json', import.meta.url);
    const { version } = JSON.parse(await readFile(manifest, 'utf8')) as { version: string };
    expect(installedSDK.version()).toBe(version);
  });

  test('is missing if this package is installed without it, and unknown in a bundle', async () => {
    const folder = await realpath(await mkdtemp(join(tmpdir(), 'authkit-express-')));
    onTestFinished(() => rm(folder, { recursive: true }));
    const installed = join(folder, 'node_modules/authkit-express');
    await mkdir(installed, { recursive: true });
    await writeFile(join(folder, 'package.json'), '{ "name": "app", "version": "1.0.0" }');
    await writeFile(join(installed, 'package.json'), '{ "name": "authkit-express", "version": "1.0.0" }');
    const versionFrom = (path: string) => installedVersion(pathToFileURL(join(folder, path)).href);
    expect(versionFrom('node_modules/authkit-express/dist/index.js')).toBe('missing');
    expect(versionFrom('node_modules/authkit-express/src/workos/sdk.ts')).toBe('missing');
    // A bundle counts as a file of the app, even if this package is also installed there.
    for (const bundle of ['server.js', 'dist/server.js', 'dist/server/index.js', '../server.js'])
      expect(versionFrom(bundle), bundle).toBeUndefined();
    // The value of `import.meta.url` in a CommonJS bundle.
    expect(installedVersion(undefined as never)).toBeUndefined();
  });
});
