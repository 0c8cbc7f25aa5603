import supertest from 'supertest';
import { describe, expect, test } from 'vitest';
import { ADA, createTestApp } from '../support/app.js';
import { FRAMEWORKS } from '../support/frameworks.js';

describe.each(FRAMEWORKS)('a supertest agent on %s', (framework) => {
  test('signs in, has its session refreshed, and signs out', async () => {
    const { origin, workos } = await createTestApp(framework);
    const agent = supertest.agent(origin);
    const who = async () => ((await agent.get('/open')).body as { email: unknown }).email;
    expect(await who()).toBeNull();
    const login = await agent.get('/login?returnTo=/account');
    const callback = new URL(await workos.authorize(login.headers['location']!, { user: ADA }));
    const back = await agent.get(callback.pathname + callback.search);
    expect(back.headers['location']).toBe('/account');
    expect((await agent.get('/account')).body).toMatchObject({ email: ADA });

    workos.clock.advance(600_000);
    expect(await who()).toBe(ADA);
    expect(await who()).toBe(ADA);
    expect(workos.callsTo('refresh')).toHaveLength(1);

    const out = await agent.post('/logout?returnTo=/open');
    expect(out.status).toBe(303);
    expect(out.headers['location']).toContain('/user_management/sessions/logout?');
    expect(await who()).toBeNull();
    expect((await agent.get('/account').set('accept', 'application/json')).status).toBe(401);
  });

  test('a second agent has no session of the first', async () => {
    const { origin, cookie } = await createTestApp(framework);
    const first = supertest.agent(origin).set('cookie', await cookie());
    expect((await first.get('/open')).body).toMatchObject({ email: ADA });
    expect((await supertest.agent(origin).get('/open')).body).toMatchObject({ email: null });
  });
});
