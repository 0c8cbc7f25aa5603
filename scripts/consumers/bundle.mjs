import express from 'express';
import * as authkitExpress from 'authkit-express';
import * as testing from 'authkit-express/testing';
import { flow } from './flow.mjs';

await flow(authkitExpress, testing, express);
