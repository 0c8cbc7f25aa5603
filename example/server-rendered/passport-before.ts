// The same application with passport, for comparison. It uses any OpenID provider.
import cookieParser from 'cookie-parser';
import { doubleCsrf } from 'csrf-csrf';
import express, { type RequestHandler } from 'express';
import session from 'express-session';
import { allowInsecureRequests, discovery } from 'openid-client';
import { Strategy } from 'openid-client/passport';
import passport from 'passport';
import { addNote, findById, linkUser, notesOf } from './database.js';
import { setFlash, takeFlash } from './flash.js';
import { notesPage } from './pages.js';

declare global {
  // eslint-disable-next-line @typescript-eslint/no-namespace -- how passport is told the type of a user
  namespace Express {
    interface User {
      id: number;
      email: string;
    }
  }
}
declare module 'express-session' {
  interface SessionData {
    returnTo?: string;
  }
}

const { BASE_URL = '', ISSUER_BASE_URL = '', CLIENT_ID = '', CLIENT_SECRET = '', SECRET = '' } = process.env;

// eslint-disable-next-line @typescript-eslint/no-deprecated -- only in tests: the provider is then on this machine
const execute = ISSUER_BASE_URL.startsWith('http:') ? [allowInsecureRequests] : [];
const config = await discovery(new URL(ISSUER_BASE_URL), CLIENT_ID, CLIENT_SECRET, undefined, { execute });
passport.use(
  'oidc',
  new Strategy(
    { config, callbackURL: `${BASE_URL}/callback`, scope: 'openid profile email' },
    (tokens, done) => {
      const claims = tokens.claims();
      if (!claims) done(new Error('The provider sent no ID token'));
      else
        done(
          null,
          linkUser({
            subject: claims.sub,
            email: claims['email'] as string,
            emailVerified: claims['email_verified'] === true,
          }),
        );
    },
  ),
);
passport.serializeUser((user, done) => {
  done(null, user.id);
});
passport.deserializeUser((id: number, done) => {
  done(null, findById(id) ?? false);
});

const app = express();
const secure = BASE_URL.startsWith('https:');
app.use(
  session({
    secret: SECRET,
    resave: false,
    saveUninitialized: false,
    cookie: { sameSite: 'lax', secure, httpOnly: true },
  }),
);
app.use(passport.session());
app.get('/login', passport.authenticate('oidc') as RequestHandler);
app.get(
  '/callback',
  passport.authenticate('oidc', {
    keepSessionInfo: true, // so that returnTo survives the new session ID
    successReturnToOrRedirect: '/',
  }) as RequestHandler,
);
app.post('/logout', (req, res, next) => {
  req.logout((error) => {
    if (error) next(error);
    else res.redirect(303, '/');
  });
});

const requireUser: RequestHandler = (req, res, next) => {
  if (req.isAuthenticated()) {
    next();
  } else if (req.method === 'GET' && req.get('sec-fetch-mode') === 'navigate') {
    req.session.returnTo = req.originalUrl;
    res.redirect('/login');
  } else {
    res.status(401).json({ error: 'unauthenticated' });
  }
};

app.use(express.urlencoded(), cookieParser());
const { doubleCsrfProtection, generateCsrfToken } = doubleCsrf({
  getSecret: () => SECRET,
  getSessionIdentifier: ({ session: { id } }) => id,
  getCsrfTokenFromRequest: ({ body }) => (body as { csrfToken?: string } | undefined)?.csrfToken,
  cookieName: 'csrf',
  cookieOptions: { sameSite: 'lax', secure },
});
app.use(doubleCsrfProtection);

app.get('/', (req, res) => {
  res.send(req.user ? `Signed in as user ${req.user.id}` : 'Signed out');
});

app.get('/notes', requireUser, (req, res) => {
  const [csrfToken, flash] = [generateCsrfToken(req, res), takeFlash(req, res)];
  res.send(notesPage({ email: req.user?.email, notes: notesOf(req.user), csrfToken, flash }));
});

app.post('/notes', requireUser, (req, res) => {
  const { text = '' } = req.body as { text?: string };
  addNote(req.user, text);
  setFlash(res, 'The note is saved.');
  res.redirect(303, '/notes');
});

export const server = app.listen(process.env['PORT'] ?? 3000);
