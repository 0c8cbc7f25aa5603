// Uses express-session and passport in the same application: a cart in express-session for every visitor, AuthKit for users,
// and passport for partners who send a key. The session cookies are separate.
import express, { type RequestHandler } from 'express';
import session from 'express-session';
import passport from 'passport';
import { authkit, requireAuth, signedIn } from 'authkit-express';
import { PartnerKey } from './partner-key.js';

declare module 'express-session' {
  interface SessionData {
    cart?: string[];
  }
}

const app = express();
app.use(session({ secret: 'only for this example', resave: false, saveUninitialized: false }));

// passport is only used for the partner routes. There, `req.user` is the partner; everywhere else, it is the AuthKit
// user.
passport.use('partner-key', new PartnerKey(new Map([['key-of-acme', 'acme']])));
const partnersOnly = passport.authenticate('partner-key', { session: false }) as RequestHandler;
app.get('/partner/orders', partnersOnly, (req, res) => {
  res.json({ partner: req.user });
});

app.use(authkit());
app.post('/cart/:item', (req, res) => {
  req.session.cart = [...(req.session.cart ?? []), req.params.item];
  res.json(req.session.cart);
});
app.get('/checkout', requireAuth(), (req, res) => {
  res.json({ email: signedIn(req).user.email, cart: req.session.cart ?? [] });
});

export const server = app.listen(process.env['PORT'] ?? 3000);
