import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as authkitExpress from 'authkit-express';
import { redisStore } from 'authkit-express/redis';
import * as testing from 'authkit-express/testing';
import { flow } from './flow.mjs';

const { default: framework } = await import(process.argv[2] ?? 'express');
if (typeof redisStore !== 'function') throw new TypeError('authkit-express/redis has no redisStore');
await flow(authkitExpress, testing, framework);

// A child process finds the module that moves its clock, and follows the clock of the test WorkOS.
const workos = await testing.createTestWorkOS({ now: Date.UTC(2030, 0, 1) });
const env = { ...process.env, ...workos.env };
workos.clock.advance(60_000);
const time = execFileSync(process.execPath, ['-p', 'new Date().toISOString()'], { env, encoding: 'utf8' });
assert.equal(time.trim(), '2030-01-01T00:01:00.000Z');
await workos.close();
