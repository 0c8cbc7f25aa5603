import { expect } from 'vitest';
import type { TestApp } from './app.js';
import { FETCH, send, type Reply } from './browser.js';

/** Requests the guarded page with a session cookie. */
export const account = ({ origin }: TestApp, cookie: string, headers: Record<string, string> = FETCH) =>
  send(`${origin}/account`, { headers: { ...headers, cookie } });

/** Expects the response for an outage, during which no user is signed out. */
export function expectOutage(reply: Reply): void {
  expect(reply.status).toBe(503);
  expect(reply.headers['retry-after']).toMatch(/^(?:[1-9]|[1-5]\d|60)$/);
  expect(reply.headers['cache-control']).toBe('private, no-store');
  expect(reply.setCookies.filter((line) => line.startsWith('wos-session'))).toEqual([]);
}
