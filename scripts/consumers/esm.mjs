import * as authkitExpress from 'authkit-express';
import { redisStore } from 'authkit-express/redis';
import * as testing from 'authkit-express/testing';
import { flow } from './flow.mjs';

const { default: framework } = await import(process.argv[2] ?? 'express');
if (typeof redisStore !== 'function') throw new TypeError('authkit-express/redis has no redisStore');
await flow(authkitExpress, testing, framework);
