/// <reference types="@clerk/express/env" />
import express from 'express';
import { clerkMiddleware, getAuth } from '@clerk/express';
import { requireAuth, signedIn } from 'authkit-express';

export const app = express();
app.use('/old', clerkMiddleware(), (req, res) => {
  // `req.auth` is the function that Clerk declares.
  res.json({ isSignedIn: req.auth().isAuthenticated, userId: getAuth(req).userId });
});
app.get('/account', requireAuth(), (req, res) => {
  res.json({ email: signedIn(req).user.email });
});
