// Beside express-session and passport: a cart in express-session for everybody, AuthKit for people, and passport for
// the partners that it signed in before. Each has a cookie of its own, and none sees the others'.
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
app.use(session({ secret: 'the cart is no secret', resave: false, saveUninitialized: false }));

// passport keeps to its own paths: `req.user` is what it says there, and AuthKit's user everywhere else.
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
