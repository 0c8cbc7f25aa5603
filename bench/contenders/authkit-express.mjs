import express from 'express';
import { authkit, requireAuth } from '../../dist/index.js';
import { contend, fixture, open } from './contend.mjs';

const app = express();
app.use(authkit({ ...fixture.workos, ...JSON.parse(process.env.BENCH_OPTIONS ?? '{}') }));
app.get('/open', open);
app.get('/me', requireAuth(), (req, res) => {
  res.json({ email: req.user.email });
});
app.use('/static', express.static(import.meta.dirname));
contend(app);
