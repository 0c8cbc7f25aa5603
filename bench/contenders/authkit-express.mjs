// BENCH_ROOT is the checkout whose dist/ is measured. With BENCH_REDIS, sessions are in Redis.
import { createRequire } from 'node:module';
import { contend, fixture, open } from './contend.mjs';

const root = process.env.BENCH_ROOT ?? new URL('../..', import.meta.url).pathname;
// The Express beside the package, with which it shares dependencies such as `router`, as it does in an app.
const { default: express } = await import(createRequire(`${root}/package.json`).resolve('express'));
const { authkit, requireAuth } = await import(`${root}/dist/index.js`);

async function inRedis(url) {
  const { createClient } = await import('redis');
  const { redisStore } = await import(`${root}/dist/redis.js`);
  return { store: redisStore(await createClient({ url }).connect()), session: 'store' };
}

const url = process.env.BENCH_REDIS;
const app = express();
app.use(authkit({ ...fixture.workos, ...(url ? await inRedis(url) : {}) }));
app.get('/open', open);
app.get('/me', requireAuth(), (req, res) => {
  res.json({ email: req.user.email });
});
app.get('/api', requireAuth({ accepts: ['bearer', 'apiKey'] }), open);
app.use('/static', express.static(import.meta.dirname));
contend(app);
