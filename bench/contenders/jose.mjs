// The least that a careful developer writes by hand.
import express from 'express';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { contend, fixture, open } from './contend.mjs';

const { issuer, audience, jwksUri } = fixture.token;
const keys = createRemoteJWKSet(new URL(jwksUri));
const options = { issuer, audience, algorithms: ['RS256'] };

const withToken = async (req, res, next) => {
  const [scheme, token = ''] = (req.headers.authorization ?? '').split(' ', 2);
  if (scheme.toLowerCase() !== 'bearer') return res.status(401).json({ error: 'unauthenticated' });
  try {
    req.claims = (await jwtVerify(token, keys, options)).payload;
  } catch {
    return res.status(401).json({ error: 'invalid token' });
  }
  next();
};

const app = express();
app.get('/open', open);
app.get('/api', withToken, open);
contend(app);
