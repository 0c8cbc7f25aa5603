import { createHmac, createPublicKey, sign, type JsonWebKey } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { seal } from '../../src/session/iron-seal.js';
import { FETCH, send } from '../support/browser.js';
import { createTestApp } from '../support/app.js';
import { rsaKeyPair } from '../support/rsa-keys.js';

test('T18 a forged token in a genuine seal is rejected: none, HS256 with the public key, a key of its own', async () => {
  const { origin, workos, served } = await createTestApp('express5');
  const { keys } = (await (await fetch(`${workos.url}/sso/jwks/${workos.options.clientId}`)).json()) as {
    keys: { kid: string }[];
  };
  const [{ kid }] = keys as [{ kid: string }];
  const now = Math.floor(workos.clock.now() / 1000);
  const claims = {
    iss: `${workos.url}/user_management/${workos.options.clientId}`,
    sub: 'user_1',
    sid: 'session_1',
    exp: now + 300,
  };
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const attacker = rsaKeyPair(1);
  const own = attacker.publicKey.export({ format: 'jwk' });
  let asked = 0;
  const server = createServer((_req, res) => {
    asked += 1;
    res.end(JSON.stringify({ keys: [{ ...own, kid, alg: 'RS256', use: 'sig' }] }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const jku = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const genuine = createPublicKey({ key: keys[0] as JsonWebKey, format: 'jwk' });
  const pem = genuine.export({ format: 'pem', type: 'spki' });
  const byOwnKey = (text: string) => sign('RSA-SHA256', Buffer.from(text), attacker.privateKey);
  const byPublicKey = (text: string) => createHmac('sha256', pem).update(text).digest();
  const forged: [head: object, by: (text: string) => Buffer][] = [
    [{ alg: 'none', kid }, () => Buffer.alloc(0)],
    [{ alg: 'none', kid }, byOwnKey],
    [{ alg: 'HS256', kid }, byPublicKey],
    [{ alg: 'RS256', kid }, byPublicKey],
    [{ alg: 'RS256', kid }, byOwnKey],
    [{ alg: 'RS256', kid, jku }, byOwnKey],
    [{ alg: 'RS256', kid, x5u: jku }, byOwnKey],
    [{ alg: 'RS256', kid, jwk: own }, byOwnKey],
    [{ alg: 'RS256', jwk: own }, byOwnKey],
    [{ alg: 'RS256', kid: '../../x' }, byOwnKey],
  ];
  const ask = async (accessToken: string) => {
    const session = { accessToken, refreshToken: 'unknown', user: { id: 'user_1' } };
    const value = await seal(session, workos.options.cookiePassword);
    return send(`${origin}/account`, { headers: { ...FETCH, cookie: `wos-session=${value}` } });
  };
  for (const [head, by] of forged) {
    const text = `${part(head)}.${part(claims)}`;
    const reply = await ask(`${text}.${by(text).toString('base64url')}`);
    expect(reply.status, JSON.stringify(head)).toBe(401);
  }
  expect({ served: served(), asked }).toEqual({ served: 0, asked: 0 });
  // The same claims, signed by WorkOS.
  const right = await workos.signToken(claims);
  expect((await ask(right)).status).toBe(200);
  // A valid signature with a different algorithm, and with an extension in the header.
  const [, body = '', signature = ''] = right.split('.');
  for (const head of [
    { alg: 'RS256', kid, crit: ['x'] },
    { alg: 'RS512', kid },
  ])
    expect((await ask(`${part(head)}.${body}.${signature}`)).status).toBe(401);
});

test('T19 a genuine token of another client, issuer, user or kind is rejected', async () => {
  const { origin, workos, served } = await createTestApp('express5');
  const now = Math.floor(workos.clock.now() / 1000);
  const good = {
    iss: `${workos.url}/user_management/${workos.options.clientId}`,
    sub: 'user_1',
    sid: 'session_1',
    iat: now,
    exp: now + 300,
  };
  const ask = async (claims: object) => {
    const accessToken = await workos.signToken(claims as Record<string, unknown>);
    const value = await seal(
      { accessToken, refreshToken: 'unknown', user: { id: 'user_1', email: 'x@example.com' } },
      workos.options.cookiePassword,
    );
    return (await send(`${origin}/account`, { headers: { ...FETCH, cookie: `wos-session=${value}` } }))
      .status;
  };
  expect(await ask(good)).toBe(200);
  for (const wrong of [
    { client_id: 'client_other' },
    { iss: 'https://evil.example' },
    { iss: undefined },
    { sub: 'user_2' },
    { sub: undefined },
    { sid: undefined },
    { exp: undefined },
    { exp: String(now + 300) },
    { nbf: now + 3600 },
  ])
    expect(await ask({ ...good, ...wrong }), JSON.stringify(wrong)).toBe(401);
  expect(served()).toBe(1);
});
