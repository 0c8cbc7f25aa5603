import express from 'express';
import session from 'express-session';
import passport from 'passport';
import { authkit, requireAuth, signedIn } from 'authkit-express';

// Both packages declare `req.user`, and they share `Express.User`.

const app = express();
app.use(session({ secret: 'a secret', resave: false, saveUninitialized: false }));
app.use(passport.initialize(), passport.session());
app.use(authkit());

app.get('/account', requireAuth(), (req, res) => {
  const user: Express.User | undefined = req.user;
  // @ts-expect-error -- nobody may be signed in
  res.send(req.user.email);
  res.json({
    email: signedIn(req).user.email,
    same: user?.email,
    isAuthenticated: req.isAuthenticated(),
    session: req.session.id,
  });
});

passport.serializeUser((user, done) => {
  done(null, user.id);
});
