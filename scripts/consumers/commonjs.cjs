const authkitExpress = require('authkit-express');
const { redisStore } = require('authkit-express/redis');
const testing = require('authkit-express/testing');
const { flow } = require('./flow.mjs');

const framework = require(process.argv[2] ?? 'express');
if (typeof redisStore !== 'function') throw new TypeError('authkit-express/redis has no redisStore');
void flow(authkitExpress, testing, framework);
