// Pages that the server renders, with users in a database of the application, flash messages, and CSRF tokens in forms.
import cookieParser from 'cookie-parser';
import { doubleCsrf } from 'csrf-csrf';
import express from 'express';
import { authkit, requireAuth } from 'authkit-express';
import { addNote, findBySubject, linkUser, notesOf } from './database.js';
import { setFlash, takeFlash } from './flash.js';
import { notesPage } from './pages.js';

declare module 'authkit-express' {
  interface AppUser {
    id: number;
    email: string;
  }
}

const { APP_SECRET = 'only for this example', WORKOS_REDIRECT_URI = '' } = process.env;

const app = express();
app.use(
  authkit({
    onSuccess: ({ user }) => {
      linkUser({ subject: user.id, email: user.email, emailVerified: user.emailVerified });
    },
    loadUser: ({ user }) => findBySubject(user.id),
  }),
);

// These are mounted after authkit(), whose own POST /logout is protected without a token.
app.use(express.urlencoded(), cookieParser());
const { doubleCsrfProtection, generateCsrfToken } = doubleCsrf({
  getSecret: () => APP_SECRET,
  getSessionIdentifier: ({ auth }) => (auth.type === 'session' ? auth.sessionId : ''),
  getCsrfTokenFromRequest: ({ body }) => (body as { csrfToken?: string } | undefined)?.csrfToken,
  cookieName: 'csrf',
  cookieOptions: { sameSite: 'lax', secure: WORKOS_REDIRECT_URI.startsWith('https:') },
});
app.use(doubleCsrfProtection);

app.get('/', (req, res) => {
  res.send(req.user ? `Signed in as user ${req.user.id}` : 'Signed out');
});

app.get('/notes', requireAuth(), (req, res) => {
  const [csrfToken, flash] = [generateCsrfToken(req, res), takeFlash(req, res)];
  res.send(notesPage({ email: req.user?.email, notes: notesOf(req.user), csrfToken, flash }));
});

app.post('/notes', requireAuth(), (req, res) => {
  const { text = '' } = req.body as { text?: string };
  addNote(req.user, text);
  setFlash(res, 'The note is saved.');
  res.redirect(303, '/notes');
});

export const server = app.listen(process.env['PORT'] ?? 3000);
