// The API of a single-page application on a different origin, such as https://app.example.com for the page and
// https://api.example.com for this file. Both have to be on the same site (example.com), because the session cookie is
// SameSite=Lax.
import cors from 'cors';
import express from 'express';
import { authkit, requireAuth, signedIn } from 'authkit-express';

const { SPA_ORIGIN = 'http://localhost:5173' } = process.env;

const app = express();
app.use(cors({ origin: SPA_ORIGIN, credentials: true })); // Before authkit(), whose responses need the headers too.
app.use(
  authkit({
    returnTo: SPA_ORIGIN, // Where users go after a sign-in without a returnTo.
    postLogoutReturnTo: SPA_ORIGIN,
    returnToOrigins: [SPA_ORIGIN], // A returnTo may lead to this origin.
    trustedOrigins: [SPA_ORIGIN], // Pages of this origin may sign out and open WebSockets.
  }),
);

app.get('/me', requireAuth(), (req, res) => {
  res.json({ email: signedIn(req).user.email });
});
app.post('/orders', requireAuth({ sameOrigin: [SPA_ORIGIN] }), (_req, res) => {
  res.status(201).json({ id: 1 });
});

export const server = app.listen(process.env['PORT'] ?? 3000);
