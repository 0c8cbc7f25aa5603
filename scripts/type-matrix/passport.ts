import express from 'express';
import passport from 'passport';
import session from 'express-session';
import { requireAuth, signedIn } from 'authkit-express';

export const app = express();
app.use(session({ secret: 'a secret' }), passport.initialize(), passport.session());
app.get('/account', requireAuth(), (req, res) => {
  res.json({ ours: signedIn(req).user.email, isTheirs: req.isAuthenticated(), user: req.user?.email });
});
