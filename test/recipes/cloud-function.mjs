// A Google Cloud Function. An Express application is a handler as it is.
import { http } from '@google-cloud/functions-framework';
import express from 'express';
import { authkit, requireAuth, signedIn } from 'authkit-express';

const app = express();
app.use(authkit());
app.get('/account', requireAuth(), (req, res) => {
  res.json({ email: signedIn(req).user.email });
});

http('app', app);
