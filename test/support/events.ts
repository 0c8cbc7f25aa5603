import debug from 'debug';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { format } from 'node:util';
import { onTestFinished } from 'vitest';
import type { AuthKitEvents } from 'authkit-express';

/** The messages that are published on a channel from now until the end of the test, oldest first. */
export function messagesOn<Name extends keyof AuthKitEvents>(name: Name): AuthKitEvents[Name][] {
  const messages: AuthKitEvents[Name][] = [];
  const listener = (message: unknown) => void messages.push(message as AuthKitEvents[Name]);
  subscribe(name, listener);
  onTestFinished(() => void unsubscribe(name, listener));
  return messages;
}

/** The lines that the package logs from now until the end of the test, as with `DEBUG=authkit:*`. */
export function logLines(): string[] {
  const lines: string[] = [];
  const { log } = debug;
  debug.enable('authkit:*');
  debug.log = (...args: unknown[]) => void lines.push(format(...args));
  onTestFinished(() => void (debug.log = log));
  return lines;
}
