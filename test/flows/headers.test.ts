import express from 'express';
import express4 from 'express4';
import { createServer, request, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { authkit, requireAuth } from 'authkit-express';
import { createTestWorkOS, type TestWorkOS } from 'authkit-express/testing';
import { corpus, type Row } from '../support/corpora.js';

interface HeaderRow extends Row {
  name: string;
  path: string;
  headers: Record<string, string>;
  trustProxy: boolean;
}

const REDIRECT = 'https://app.example.com/auth/callback';

interface Express {
  set: (name: string, value: unknown) => void;
  use: (...args: unknown[]) => void;
  get: (...args: unknown[]) => void;
}

describe.each([
  ['Express 5', express],
  ['Express 4', express4],
] as const)('headers of the corpus on %s', (_, framework) => {
  describe.each([true, false])('trust proxy %s', (trustProxy) => {
    let workos: TestWorkOS;
    let served = 0;
    const app = framework() as Express & RequestListener;
    const server = createServer(app);
    beforeAll(async () => {
      workos = await createTestWorkOS();
      app.set('trust proxy', trustProxy);
      app.use(authkit({ ...workos.options, redirectUri: REDIRECT }));
      app.use('/protected', requireAuth(), (_req: unknown, res: { end: (body: string) => void }) => {
        served += 1;
        res.end('secret page');
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    });
    afterAll(async () => {
      server.closeAllConnections();
      server.close();
      await workos.close();
    });

    /** The request target and the headers to the letter. */
    function ask({
      path,
      headers,
    }: HeaderRow): Promise<{ status: number; location: string; cookies: string[]; body: string }> {
      const { port } = server.address() as AddressInfo;
      return new Promise((resolve, reject) => {
        const asked = request({
          host: '127.0.0.1',
          port,
          path,
          headers,
          setHost: headers['host'] === undefined,
          agent: false,
        });
        asked.on('response', (res) => {
          let body = '';
          res.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
          res.on('end', () => {
            resolve({
              status: res.statusCode ?? 0,
              location: res.headers.location ?? '',
              cookies: res.headers['set-cookie'] ?? [],
              body,
            });
          });
        });
        asked.on('error', reject);
        asked.end();
      });
    }

    test.each(corpus<HeaderRow>('headers'))('$id $name', async (row) => {
      const fill = (value: string) => value.replaceAll('@@JWT@@', 'eyJhbGciOiJSUzI1NiJ9.e30.c2ln');
      const headers = Object.fromEntries(
        Object.entries(row.headers).map(([name, value]) => [name, fill(value)]),
      );
      const reply = await ask({ ...row, headers });
      expect(reply.status).toBeLessThan(500 + 4 * Number(/prefetch/.test(JSON.stringify(headers))));
      expect(reply.body).not.toContain('secret page');
      expect(served).toBe(0);
      if (row.path === '/auth/login' && reply.status === 302) {
        const { origin, searchParams } = new URL(reply.location);
        expect({ origin, redirectUri: searchParams.get('redirect_uri') }).toEqual({
          origin: workos.url,
          redirectUri: REDIRECT,
        });
        expect(reply.cookies).toHaveLength(1);
        expect(reply.cookies[0]).toMatch(
          /^wos-auth-verifier-[0-9a-f]{8}=[^;]+; Max-Age=600; Path=\/; HttpOnly; Secure; SameSite=Lax$/,
        );
      } else expect(reply.cookies).toEqual([]);
      if (row.path === '/protected') expect([302, 401, 400, 417]).toContain(reply.status);
      if (row.path !== '/auth/login' && reply.location !== '')
        expect(reply.location).toMatch(/^\/auth\/login(\?|$)/);
    });
  });
});
