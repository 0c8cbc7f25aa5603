// An application behind nginx, which terminates TLS and forwards the path /shop (see nginx.conf). All public URLs are
// derived from WORKOS_REDIRECT_URI=https://example.com/shop/callback, so no proxy header has to be trusted.
import express from 'express';
import { authkit, requireAuth, signedIn } from 'authkit-express';

const shop = express.Router();
shop.use(authkit());
shop.get('/account', requireAuth(), (req, res) => {
  res.type('text').send(`Hello ${signedIn(req).user.email}`);
});

const app = express();
app.use('/shop', shop);

export const server = app.listen(Number(process.env['PORT'] ?? 3000), '127.0.0.1');
