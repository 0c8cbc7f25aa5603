// The same by `require`, which TypeScript allows of an ES module from 5.8 on.
import express = require('express');
import authkitExpress = require('authkit-express');

const app = express();
app.use(authkitExpress.authkit());
app.get('/', authkitExpress.requireAuth(), (req, res) => {
  res.send(authkitExpress.signedIn(req).user.email);
});
