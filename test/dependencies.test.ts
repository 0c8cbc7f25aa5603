import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = (file: string) => fileURLToPath(new URL(`../${file}`, import.meta.url));

test('T40 runtime dependencies are few, pinned with checksums in the lockfile, and have no install script', () => {
  interface Locked {
    packages: Record<
      string,
      { dev?: boolean; optional?: boolean; peer?: boolean; integrity?: string; hasInstallScript?: boolean }
    >;
  }
  const manifest = JSON.parse(readFileSync(root('package.json'), 'utf8')) as {
    dependencies: object;
    scripts: Record<string, string>;
  };
  expect(Object.keys(manifest.dependencies).length).toBeLessThanOrEqual(12);
  for (const script of ['preinstall', 'install', 'postinstall', 'prepare'])
    expect(manifest.scripts[script]).toBeUndefined();
  const { packages } = JSON.parse(readFileSync(root('package-lock.json'), 'utf8')) as Locked;
  const runtime = Object.entries(packages).filter(
    ([name, { dev, peer }]) => name !== '' && dev !== true && peer !== true,
  );
  expect(runtime.length).toBeGreaterThan(5);
  for (const [name, { integrity, hasInstallScript }] of runtime) {
    expect(integrity, name).toMatch(/^sha512-/);
    expect(hasInstallScript, name).toBeUndefined();
  }
});
