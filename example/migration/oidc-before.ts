import express from 'express';
import { auth, claimIncludes, requiresAuth } from 'express-openid-connect';

const { BASE_URL = '', ISSUER_BASE_URL = '', CLIENT_ID = '', CLIENT_SECRET = '', SECRET = '' } = process.env;

export const app = express();
app.use(
  auth({
    authRequired: false,
    baseURL: BASE_URL,
    issuerBaseURL: ISSUER_BASE_URL,
    clientID: CLIENT_ID,
    clientSecret: CLIENT_SECRET,
    secret: SECRET,
    authorizationParams: { response_type: 'code', scope: 'openid profile email' },
    idpLogout: true,
  }),
);

app.get('/', (req, res) => {
  res.json({ signedIn: req.oidc.isAuthenticated() });
});

app.get('/profile', requiresAuth(), (req, res) => {
  res.json({ email: req.oidc.user?.['email'] as string });
});

app.get('/admin', claimIncludes('roles', 'admin'), (_req, res) => {
  res.json({ admin: true });
});
