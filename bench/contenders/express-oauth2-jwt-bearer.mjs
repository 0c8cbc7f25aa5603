import express from 'express';
import { auth } from 'express-oauth2-jwt-bearer';
import { contend, fixture, open } from './contend.mjs';

const { issuer, audience, jwksUri } = fixture.token;

const app = express();
app.get('/open', open);
app.get('/api', auth({ issuer, audience, jwksUri, tokenSigningAlg: 'RS256' }), open);
contend(app);
