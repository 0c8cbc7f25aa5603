// What a small application does with this package, on Express or Connect: told apart by nothing but the copy it is given.
import assert from 'node:assert/strict';
import { createServer, request } from 'node:http';

export async function flow({ authkit, requireAuth, signedIn }, { createTestWorkOS }, framework) {
  const workos = await createTestWorkOS();
  const server = createServer((req, res) => app(req, res));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${server.address().port}`;
  const app = framework();
  app.use(authkit({ ...workos.options, redirectUri: `${origin}/callback` }));
  app.use('/account', requireAuth());
  app.use('/account', (req, res) => res.end(signedIn(req).user.email));

  // Not with fetch(), which sends `Sec-Fetch-Mode: cors`, so that there would be no redirect to sign-in.
  const cookies = new Map();
  const go = (url, { method = 'GET', accept = 'text/html' } = {}) =>
    new Promise((resolve, reject) => {
      const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
      const asked = request(url, { method, agent: false, headers: { accept, cookie } }, async (response) => {
        for (const line of response.headers['set-cookie'] ?? []) {
          const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
          if (value === '') cookies.delete(name);
          else cookies.set(name, value);
        }
        const body = (await response.toArray()).join('');
        resolve({ status: response.statusCode, location: response.headers.location, body });
      });
      asked.on('error', reject).end();
    });
  const follow = async (url) => {
    const reply = await go(url);
    return reply.location?.startsWith('/') ? follow(origin + reply.location) : reply;
  };

  assert.equal((await go(`${origin}/account`, { accept: '*/*' })).status, 401);
  const away = await follow(`${origin}/account`);
  const back = await follow(await workos.authorize(away.location, { user: 'ada@example.com' }));
  assert.deepEqual([back.status, back.body], [200, 'ada@example.com']);
  const before = cookies.get('wos-session');
  workos.clock.advance(3_600_000);
  assert.equal((await go(`${origin}/account`)).status, 200);
  assert.notEqual(cookies.get('wos-session'), before, 'the session was renewed');
  assert.equal((await go(`${origin}/logout`, { method: 'POST' })).status, 200);
  assert.equal((await go(`${origin}/account`, { accept: '*/*' })).status, 401);
  await workos.close();
  await new Promise((resolve) => server.close(resolve));
  console.log('fine');
}
