// The public key of the instance is configured, so nothing goes over the network.
import { sign } from 'node:crypto';
import { clerkMiddleware, getAuth } from '@clerk/express';
import express from 'express';
import { contend, open, person, fixture } from './contend.mjs';

const { privateKey, publicKey } = fixture.clerk;
const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

function sessionToken(user) {
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    ...fixture.claims,
    sub: user.id,
    sid: `sess_${user.id}`,
    iss: 'https://clerk.example.com',
    v: 2,
  };
  const times = { iat: now - 10, nbf: now - 10, exp: now + 86_400 };
  const signed = `${part({ alg: 'RS256', kid: 'ins_1', typ: 'JWT' })}.${part({ ...claims, ...times, email: user.email })}`;
  return `${signed}.${sign('RSA-SHA256', Buffer.from(signed), privateKey).toString('base64url')}`;
}

const app = express();
app.get('/sign-in', (req, res) => {
  res.cookie('__session', sessionToken(person(req)));
  res.cookie('__client_uat', String(Math.floor(Date.now() / 1000) - 20));
  res.json({ ok: true });
});
app.use(
  clerkMiddleware({
    jwtKey: publicKey,
    publishableKey: `pk_live_${Buffer.from('clerk.example.com$').toString('base64')}`,
    secretKey: 'sk_live_for_the_benchmark_alone',
  }),
);
app.get('/open', open);
app.get('/api', (req, res, next) => {
  if (!getAuth(req).userId) return res.status(401).json({ error: 'unauthenticated' });
  next();
});
app.get('/api', open);
app.get('/me', (req, res) => {
  const { userId, sessionClaims } = getAuth(req);
  if (!userId) return res.status(401).json({ error: 'unauthenticated' });
  res.json({ email: sessionClaims.email });
});
contend(app);
