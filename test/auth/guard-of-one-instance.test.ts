import { expect, onTestFinished, test } from 'vitest';
import { authkit, signedIn, type AuthKit } from 'authkit-express';
import { FETCH, send } from '../support/browser.js';
import { createTestApp, json } from '../support/app.js';
import { FRAMEWORKS, type Handler, serve } from '../support/frameworks.js';

const [ONE, TWO] = ['one@example.com', 'two@example.com'];

test.each(FRAMEWORKS)(
  'T46 on %s, with sessions at two instances, a handler sees the session that its guard has checked',
  async (framework) => {
    const apps = [await createTestApp(framework), await createTestApp(framework)] as const;
    const instances: AuthKit[] = [];
    const site = await serve(framework, (app, origin) => {
      for (const [index, { workos }] of apps.entries()) {
        const cookie = { name: `session-${index}` };
        const auth = authkit({ ...workos.options, redirectUri: `${origin}/${index}/callback`, cookie });
        instances.push(auth);
        app.use(auth.session);
      }
      const [one, two] = instances as [AuthKit, AuthKit];
      const whoIs: Handler = (req, res) => {
        const { email } = (req as unknown as { user: { email: string } }).user;
        json(res, [email, signedIn(req).user.email]);
      };
      app.route('/one', one.requireAuth(), whoIs);
      app.route('/two', two.requireAuth({ maxAge: 60, unauthenticated: 'respond' }), whoIs);
      app.route(
        '/both',
        two.requireAuth({
          check: ({ user }, req) => user.email === (req as unknown as { user: typeof user }).user.email,
        }),
        one.requireAuth(),
        whoIs,
      );
    });
    onTestFinished(() => site.close());
    const cookies = await Promise.all(
      [ONE, TWO].map(async (email, index) => {
        const cookie = await apps[index]!.cookie({ user: { email } });
        return cookie.replace(/^[^=]+/, `session-${index}`);
      }),
    );
    const ask = async (path: string, cookie: string) => {
      const { status, body } = await send(site.origin + path, { headers: { ...FETCH, cookie } });
      return status === 200 ? (JSON.parse(body) as unknown) : status;
    };
    const both = cookies.join('; ');
    expect(await ask('/one', both)).toEqual([ONE, ONE]);
    expect(await ask('/two', both)).toEqual([TWO, TWO]);
    expect(await ask('/both', both)).toEqual([ONE, ONE]);
    expect(await ask('/two', cookies[0]!)).toBe(401);
  },
);
