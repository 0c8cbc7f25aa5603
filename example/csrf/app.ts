// Uses csrf-csrf for your own forms. It comes after authkit(), because its tokens belong to the user's session. For
// requests from your own pages, requireAuth({ sameOrigin: true }) gives the same protection without tokens.
import cookieParser from 'cookie-parser';
import { doubleCsrf } from 'csrf-csrf';
import express from 'express';
import { authkit, requireAuth, signedIn } from 'authkit-express';

const { doubleCsrfProtection, generateCsrfToken } = doubleCsrf({
  getSecret: () => process.env['CSRF_SECRET'] ?? 'only for this example',
  getSessionIdentifier: (req) => (req.auth.type === 'session' ? req.auth.sessionId : ''),
  cookieName: 'csrf',
  cookieOptions: { secure: process.env['NODE_ENV'] === 'production', sameSite: 'lax' },
});

const app = express();
app.use(authkit());
app.use(cookieParser());
app.use(doubleCsrfProtection);

app.get('/token', requireAuth(), (req, res) => {
  res.json({ token: generateCsrfToken(req, res) });
});
app.post('/transfer', requireAuth(), (req, res) => {
  res.json({ by: signedIn(req).user.email });
});

export const server = app.listen(process.env['PORT'] ?? 3000);
