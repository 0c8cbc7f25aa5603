import { vi } from 'vitest';

// Test files share a process, with Node's modules and those of node_modules. Each file gets its own copy of the package
// and of the helpers, and the environment that the process started with, so nothing passes from one file to the next.
// A file that replaces a module with `vi.mock` ends that with `vi.doUnmock`.
vi.resetModules();

const kept = globalThis as {
  environment?: NodeJS.ProcessEnv;
  signingKeys?: Promise<Record<string, unknown>>;
};
kept.environment ??= { ...process.env };
for (const name of Object.keys(process.env)) {
  if (!(name in kept.environment) && !name.startsWith('VITEST')) Reflect.deleteProperty(process.env, name);
}
for (const [name, value] of Object.entries(kept.environment)) {
  if (!name.startsWith('VITEST')) process.env[name] = value;
}

await import('./leak-checks/setup.js');
await import('./no-preload.js');

// Generating an RSA key takes 200 ms, so the keys of the test WorkOS are generated once in a process.
vi.mock('../../src/testing/state/signing-keys.js', (original) => (kept.signingKeys ??= original()));
