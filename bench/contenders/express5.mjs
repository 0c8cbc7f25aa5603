import express from 'express';
import { contend, fixture, open } from './contend.mjs';

const app = express();
app.get('/open', open);
app.get('/api', open);
app.get('/me', (_req, res) => {
  res.json({ email: fixture.user.email });
});
app.use('/static', express.static(import.meta.dirname));
contend(app);
