const authkitExpress = require('authkit-express');
const testing = require('authkit-express/testing');
const { flow } = require('./flow.mjs');

const framework = require(process.argv[2] ?? 'express');
void flow(authkitExpress, testing, framework);
