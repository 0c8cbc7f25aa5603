import type { TestOrganization, TestUser } from './seed.js';

export interface TestWorkOSOptions {
  /** Default: Ada Lovelace, Grace Hopper and Alan Turing; nobody if there are `organizations`. */
  users?: readonly TestUser[];
  /** Default: Analytical Engines; none if there are `users`. */
  organizations?: readonly TestOrganization[];
  /** Default: any that is free. */
  port?: number;
  clientId?: string;
  apiKey?: string;
  cookiePassword?: string;
  /** The application's callback, for `options`; default `http://localhost:3000/callback`. */
  redirectUri?: string;
  /** Exact redirect URIs to accept; default: loopback addresses, and https. */
  redirectUris?: readonly string[];
  /** `iss` of access tokens; default `<url>/user_management/<clientId>`. */
  issuer?: string;
  /** Slugs of the providers that accounts can be linked at, default `github`. */
  pipes?: readonly string[];
  /** Where a logout without `return_to` goes; default: the origin of the latest redirect URI. */
  homepage?: string;
  /** Signs webhooks. */
  webhookSecret?: string;
  /** Start of a clock that moves by `advance` alone, in milliseconds since the epoch. Without it, the clock runs. */
  now?: number;
  /** Seconds, default 300. */
  accessTokenLifetime?: number;
  /** Seconds for which an exchanged refresh token gets its pair again, default 30; 0 for strictly single use. */
  replayWindow?: number;
  /** Whether a process whose work is done waits for the server to close, default true. */
  keepsProcess?: boolean;
}

/** Durations that a test may change while the server runs. */
export interface Lifetimes {
  /** Seconds, of access tokens from now on. */
  accessTokenLifetime: number;
  /** Seconds for which an exchanged refresh token gets its pair again; 0 for strictly single use. */
  replayWindow: number;
}

/** {@link TestWorkOSOptions}, complete. */
export interface Settings {
  readonly clientId: string;
  readonly apiKey: string;
  readonly cookiePassword: string;
  readonly redirectUri: string;
  readonly redirectUris: readonly string[] | undefined;
  readonly issuer: string | undefined;
  readonly homepage: string | undefined;
  readonly webhookSecret: string;
  readonly pipes: readonly string[];
}

/** The credentials are no secrets: they open nothing but a test. */
export function complete(options: TestWorkOSOptions): Settings {
  return {
    clientId: options.clientId ?? 'client_01TESTWORKOS',
    apiKey: options.apiKey ?? 'sk_test_workos_in_this_process',
    cookiePassword: options.cookiePassword ?? 'a-password-for-tests-and-for-nothing-else',
    redirectUri: options.redirectUri ?? 'http://localhost:3000/callback',
    redirectUris: options.redirectUris,
    issuer: options.issuer,
    homepage: options.homepage,
    webhookSecret: options.webhookSecret ?? 'a-secret-for-test-webhooks',
    pipes: options.pipes ?? ['github'],
  };
}

/** The defaults are WorkOS's. */
export function lifetimesOf({ accessTokenLifetime = 300, replayWindow = 30 }: TestWorkOSOptions): Lifetimes {
  return { accessTokenLifetime, replayWindow };
}
