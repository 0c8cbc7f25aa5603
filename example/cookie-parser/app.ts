// Uses cookie-parser for your own cookies. The session needs no cookie parser: authkit-express reads and writes its
// cookies itself, and the order of the two middleware functions does not matter.
import cookieParser from 'cookie-parser';
import express from 'express';
import { authkit, requireAuth, signedIn } from 'authkit-express';

const app = express();
app.use(cookieParser());
app.use(authkit());

app.get('/', (req, res) => {
  const { theme } = req.cookies as { theme?: string };
  res.type('text').send(`The theme is ${theme ?? 'light'}.`);
});

app.post('/theme', requireAuth({ sameOrigin: true }), (req, res) => {
  const { theme } = req.cookies as { theme?: string };
  res.cookie('theme', theme === 'dark' ? 'light' : 'dark', { sameSite: 'lax', httpOnly: true });
  res.json({ changedBy: signedIn(req).user.email });
});

export const server = app.listen(process.env['PORT'] ?? 3000);
