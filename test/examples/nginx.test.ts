import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CookieJar } from 'tough-cookie';
import { NAVIGATION } from '../support/browser.js';
import { createCertificate } from '../support/certificate.js';
import { ROOT } from '../support/documentation.js';
import { runExample } from '../support/example.js';
import { freePort } from '../support/free-port.js';
import { findProgram } from '../support/programs.js';

const missing = ['nginx', 'openssl'].filter((command) => findProgram(command) === undefined);
if (missing.length > 0)
  console.log(`skipped: no ${missing.join(', ')}; install with: apt-get install nginx-light openssl`);

describe.skipIf(missing.length > 0)('behind nginx, with TLS and a path', async () => {
  const port = await freePort();
  const publicUrl = `https://localhost:${port}`;
  const example = runExample(() => import('../../example/nginx/app.js'), {
    publicUrl,
    redirectUri: `${publicUrl}/shop/callback`,
  });
  const folder = mkdtempSync(join(tmpdir(), 'authkit-nginx-'));
  let nginx: ChildProcess;

  beforeAll(async () => {
    createCertificate(folder);
    const conf = readFileSync(join(ROOT, 'example/nginx/nginx.conf'), 'utf8')
      .replace('8443', String(port))
      .replace('127.0.0.1:3000', `127.0.0.1:${process.env['PORT']!}`)
      .replace(
        'http {',
        `http {\n${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join('\n')}`,
      );
    writeFileSync(join(folder, 'nginx.conf'), conf);
    const args = ['-p', folder, '-c', 'nginx.conf', '-e', 'error.log', '-g', 'daemon off;'];
    nginx = spawn('nginx', args, { stdio: 'ignore' });
    for (let tries = 0; tries < 200 && !(await accepts(port)); tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  });
  afterAll(async () => {
    const gone = new Promise((resolve) => nginx.once('exit', resolve));
    nginx.kill('SIGQUIT');
    await gone;
    rmSync(folder, { recursive: true });
  });

  const jar = new CookieJar(undefined, { rejectPublicSuffixes: false });
  async function go(url: string, headers: Record<string, string> = {}) {
    const cookie = await jar.getCookieString(url);
    const reply = await new Promise<{
      status: number;
      location: string | undefined;
      lines: string[];
      body: string;
    }>((resolve, reject) => {
      const options = {
        rejectUnauthorized: false,
        agent: false as const,
        headers: { ...NAVIGATION, cookie, ...headers },
      };
      const req = request(url, options, (res) => {
        let body = '';
        res.on('data', (chunk: Buffer) => (body += chunk.toString()));
        res.on('end', () => {
          const { location, 'set-cookie': lines = [] } = res.headers;
          resolve({
            status: res.statusCode!,
            location: location && new URL(location, url).href,
            lines,
            body,
          });
        });
      });
      req.on('error', reject).end();
    });
    for (const line of reply.lines) await jar.setCookie(line, url);
    return reply;
  }

  test('returns to the requested page, with Secure cookies', async () => {
    const page = `${publicUrl}/shop/account?tab=1`;
    const guard = await go(page);
    expect(guard.location).toBe(`${publicUrl}/shop/login?returnTo=%2Fshop%2Faccount%3Ftab%3D1`);
    const login = await go(guard.location!);
    expect(login.lines[0]).toMatch(/; Secure/);
    expect(new URL(login.location!).searchParams.get('redirect_uri')).toBe(`${publicUrl}/shop/callback`);
    const callback = await go(await example.workos.authorize(login.location!, { user: 'ada@example.com' }));
    expect(callback.location).toBe(page);
    expect(callback.lines.find((line) => line.startsWith('wos-session='))).toMatch(/; Secure/);
    expect(await go(page)).toMatchObject({ status: 200, body: 'Hello ada@example.com' });
  });

  test('transports a session of several cookies in both directions', async () => {
    const permissions = Array.from({ length: 180 }, (_, i) => `resource-${i}:read`);
    const cookie = await example.workos.signIn({ permissions, expiresIn: -1 });
    const value = cookie.slice('wos-session='.length);
    const chunks = [value.slice(0, 3900), value.slice(3900, 7800), value.slice(7800)];
    const headers = {
      cookie: chunks
        .filter(Boolean)
        .map((chunk, i) => `wos-session.${i}=${chunk}`)
        .join('; '),
    };
    const reply = await go(`${publicUrl}/shop/account`, headers);
    expect(reply.status).toBe(200);
    expect(
      reply.lines.filter((line) => /^wos-session\.\d=Fe26|^wos-session\.\d=[^;]{500}/.test(line)).length,
    ).toBeGreaterThan(1);
  });
});

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => {
      resolve(false);
    });
  });
}
