// Two processes on one port that share Redis. Only one of them refreshes a given token, and a user who signs out in one
// process is signed out in the other within half a second. The sessions themselves stay in cookies.
import cluster from 'node:cluster';
import express from 'express';
import { createClient } from 'redis';
import { authkit, requireAuth, signedIn } from 'authkit-express';
import { redisStore } from 'authkit-express/redis';

const { PORT = '3000', REDIS_URL = 'redis://localhost:6379' } = process.env;

if (cluster.isPrimary) {
  for (let i = 0; i < 2; i += 1) cluster.fork();
  cluster.on('listening', ({ id }) => {
    console.log(`worker ${id} is listening`);
  });
} else {
  const client = createClient({ url: REDIS_URL });
  await client.connect();
  const app = express();
  app.use(authkit({ store: redisStore(client) }));
  app.get('/', requireAuth(), (req, res) => {
    res.json({ email: signedIn(req).user.email, worker: cluster.worker?.id });
  });
  app.listen(PORT);
}
