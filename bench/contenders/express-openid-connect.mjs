import express from 'express';
import openid from 'express-openid-connect';
import { contend, fixture, open, person } from './contend.mjs';

const { auth, requiresAuth } = openid;

/** Never verified again once it is in the session, so its signature is any. */
function idToken({ id, email }) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = { ...fixture.claims, sub: id, email };
  return `${part({ alg: 'RS256', kid: '1' })}.${part(claims)}.${fixture.accessToken.split('.')[2]}`;
}

const app = express();
app.use(
  auth({
    authRequired: false,
    baseURL: 'http://localhost:3000',
    clientID: fixture.workos.clientId,
    issuerBaseURL: 'https://issuer.example.com',
    secret: fixture.workos.cookiePassword,
  }),
);
app.get('/open', open);
app.get('/sign-in', (req, res) => {
  const user = person(req);
  Object.assign(req.appSession, {
    id_token: idToken(user),
    refresh_token: fixture.refreshToken,
    token_type: 'Bearer',
    expires_at: String(Math.floor(Date.now() / 1000) + 86_400),
  });
  res.json({ ok: true });
});
app.get('/me', requiresAuth(), (req, res) => {
  res.json({ email: req.oidc.user.email });
});
contend(app);
