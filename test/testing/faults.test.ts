import { describe, expect, test } from 'vitest';
import { refresh, signInByCode, start, unseal } from './application.js';

const keysUrl = ({ url, options }: Awaited<ReturnType<typeof start>>) =>
  `${url}/sso/jwks/${options.clientId}`;

describe('a fault', () => {
  test('answers with a status, headers and a body, as many times as given', async () => {
    const workos = await start();
    workos.fail({ on: 'jwks', status: 429, headers: { 'retry-after': '1' }, times: 2 });
    const answers = [];
    for (let i = 0; i < 3; i++) answers.push(await fetch(keysUrl(workos)));
    expect(answers.map(({ status }) => status)).toEqual([429, 429, 200]);
    expect(answers[0]!.headers.get('retry-after')).toBe('1');
    expect(await answers[0]!.json()).toEqual({ message: 'Too Many Requests' });
    expect(workos.callsTo('jwks').map(({ status }) => status)).toEqual([429, 429, 200]);
  });

  test('can answer with any body', async () => {
    const workos = await start();
    const bodyFor = async (body: unknown, headers = {}) => {
      const { restore } = workos.fail({ on: 'jwks', body, headers });
      const response = await fetch(keysUrl(workos));
      restore();
      return [response.status, response.headers.get('content-type'), await response.text()];
    };
    expect(await bodyFor('<html>', { 'content-type': 'text/html' })).toEqual([200, 'text/html', '<html>']);
    expect(await bodyFor('')).toEqual([200, null, '']);
    expect(await bodyFor(null)).toEqual([200, 'application/json; charset=utf-8', 'null']);
  });

  test('ends with restore, or with recover', async () => {
    const workos = await start();
    const one = workos.fail({ on: 'jwks', status: 500 });
    workos.fail({ on: 'jwks', status: 503 });
    expect((await fetch(keysUrl(workos))).status).toBe(500);
    one.restore();
    expect((await fetch(keysUrl(workos))).status).toBe(503);
    workos.recover();
    expect((await fetch(keysUrl(workos))).status).toBe(200);
  });

  test('of authenticate applies to every grant, and any other to its own operation only', async () => {
    const workos = await start();
    const token = (await signInByCode(workos)).body['refresh_token'];
    workos.fail({ on: 'code', status: 500 });
    expect((await refresh(workos, token)).status).toBe(200);
    expect((await signInByCode(workos)).status).toBe(500);
    workos.recover();
    workos.fail({ on: 'authenticate', status: 502 });
    expect((await refresh(workos, token)).status).toBe(502);
    expect((await signInByCode(workos)).status).toBe(502);
    expect(workos.callsTo('authenticate')).toHaveLength(5);
  });

  test('leaves the token valid, unless it applies after the exchange', async () => {
    const workos = await start({ replayWindow: 0 });
    const first = (await signInByCode(workos)).body['refresh_token'];
    workos.fail({ on: 'refresh', reset: true, times: 1 });
    await expect(refresh(workos, first)).rejects.toThrow('fetch failed');
    const second = await refresh(workos, first);
    expect(second.status).toBe(200);
    workos.fail({ on: 'refresh', reset: true, after: true, times: 1 });
    await expect(refresh(workos, second.body['refresh_token'])).rejects.toThrow('fetch failed');
    expect((await refresh(workos, second.body['refresh_token'])).body['error']).toBe('invalid_grant');
  });

  test('resets the connection', async () => {
    const workos = await start();
    workos.fail({ on: 'jwks', reset: true });
    const error = await fetch(keysUrl(workos)).catch((reason: unknown) => reason);
    expect(error).toHaveProperty('cause.code', 'ECONNRESET');
    expect(workos.calls[0]).not.toHaveProperty('status');
  });

  test('hangs until the server closes', async () => {
    const workos = await start();
    workos.fail({ on: 'jwks', hang: true });
    const response = fetch(keysUrl(workos));
    const outcome = Promise.race([response, new Promise((resolve) => setTimeout(resolve, 50, 'waiting'))]);
    expect(await outcome).toBe('waiting');
    await workos.close();
    await expect(response).rejects.toThrow('fetch failed');
  });

  test('delays a response, sends it slowly, and breaks it off', async () => {
    const workos = await start();
    const timed = async (fault: object) => {
      workos.fail({ on: 'jwks', times: 1, ...fault });
      const begin = performance.now();
      const text = await (await fetch(keysUrl(workos))).text();
      return { text, took: performance.now() - begin };
    };
    expect((await timed({ delay: 60 })).took).toBeGreaterThan(55);
    const trickle = await timed({ body: 'slowly', slow: 15 });
    expect(trickle.text).toBe('slowly');
    expect(trickle.took).toBeGreaterThan(70);
    await expect(timed({ truncate: true })).rejects.toThrow('terminated');
    await expect(timed({ truncate: true, slow: 1, body: 'xy' })).rejects.toThrow('terminated');
    await expect(timed({ headers: { 'x-long': 'x'.repeat(20_000) } })).rejects.toThrow('fetch failed');
  });

  test('changes what WorkOS answers', async () => {
    const workos = await start();
    const session = await unseal(workos, await workos.signIn());
    workos.fail({
      on: 'refresh',
      times: 1,
      alter: async (body) => ({
        ...body,
        user: null,
        access_token: await workos.signToken({ sub: 'user_99' }),
      }),
    });
    const { status, body } = await refresh(workos, session['refreshToken'] as string);
    expect([status, body.user]).toEqual([200, null]);
    expect(body['refresh_token']).not.toBe(session['refreshToken']);
    workos.fail({
      on: 'refresh',
      alter: () => {
        throw new Error('a mistake');
      },
    });
    expect((await refresh(workos, body['refresh_token'])).body['message']).toContain('a mistake');
  });

  test('applies to the sign-in page', async () => {
    const workos = await start();
    workos.fail({ on: 'authorize', status: 503, times: 1 });
    await expect(signInByCode(workos)).rejects.toThrow('503');
    workos.fail({ on: 'choose', status: 502, times: 1 });
    await expect(signInByCode(workos)).rejects.toThrow('502');
  });
});

test('calls are recorded with everything that was sent', async () => {
  const workos = await start({ now: 1_800_000_000_000 });
  await signInByCode(workos);
  expect(workos.calls.map(({ operation }) => operation)).toEqual(['authorize', 'choose', 'code']);
  expect(workos.calls[0]?.query).toMatchObject({
    provider: 'authkit',
    redirect_uri: 'http://localhost:3000/callback',
  });
  expect(workos.callsTo('code')).toEqual([
    {
      operation: 'code',
      method: 'POST',
      path: '/user_management/authenticate',
      query: {},
      body: expect.objectContaining({
        grant_type: 'authorization_code',
        client_secret: workos.options.apiKey,
      }) as unknown,
      at: 1_800_000_000_000,
      status: 200,
    },
  ]);
});
