// JavaScript with `require`. Node 20.19, 22.12 and later versions can load an ES module this way.
const express = require('express');
const { authkit, requireAuth, signedIn } = require('authkit-express');

const app = express();
app.use(authkit());

app.get('/', requireAuth(), (req, res) => {
  res.type('text').send(`Hello ${signedIn(req).user.email}`);
});

exports.server = app.listen(process.env.PORT ?? 3000);
