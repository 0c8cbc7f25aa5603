// A small application that tests itself: a guard, a sign-in, a refresh and a sign-out, on the test WorkOS in its process.
import express from 'express';
import * as authkitExpress from 'authkit-express';
import * as testing from 'authkit-express/testing';
import { flow } from '../../scripts/consumers/flow.mjs';

flow(authkitExpress, testing, express).catch((error) => {
  console.error(error);
  process.exit(1);
});
