import * as authkitExpress from 'authkit-express';
import * as testing from 'authkit-express/testing';
import { flow } from './flow.mjs';

const { default: framework } = await import(process.argv[2] ?? 'express');
await flow(authkitExpress, testing, framework);
