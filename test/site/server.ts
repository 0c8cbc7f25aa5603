import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import { SITE } from '../../scripts/links.mjs';
import { ROOT } from '../support/documentation.js';

const DIST = join(ROOT, 'site/.vitepress/dist');
export const BASE = new URL(SITE).pathname;

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.json': 'application/json',
  '.woff2': 'font/woff2',
};

/** The routes of all built pages, such as `/authkit-express/testing`. */
export function routes(): string[] {
  return readdirSync(DIST, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.html') && file !== '404.html')
    .map((file) => BASE + file.replace(/(?:^|(?<=\/))index\.html$|\.html$/, ''))
    .sort();
}

/** The file that GitHub Pages would serve for a path. */
export function fileFor(pathname: string): string | undefined {
  if (!pathname.startsWith(BASE)) return undefined;
  const path = join(DIST, decodeURIComponent(pathname.slice(BASE.length)));
  const candidates = [path, `${path}.html`, join(path, 'index.html')];
  return candidates.find((file) => existsSync(file) && statSync(file).isFile());
}

/** Serves the site the way GitHub Pages does. */
export async function serveSite(): Promise<{ origin: string; server: Server }> {
  const server = createServer((req, res) => {
    const file = fileFor(new URL(req.url ?? '/', 'http://localhost').pathname);
    const found = file ?? join(DIST, '404.html');
    res.writeHead(file === undefined ? 404 : 200, { 'content-type': TYPES[extname(found)] ?? 'text/plain' });
    res.end(readFileSync(found));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}
