import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { type Config, resolveConfig } from '../config/index.js';
import type { AuthKitOptions } from '../config/authkit-options.js';
import { isLoopback } from '../config/insecure-http.js';
import { AuthKitError } from '../errors.js';
import { createWorkOSClient, type WorkOSClient } from '../workos/api-client.js';
import { CLOCK_TOLERANCE } from '../workos/clock-difference.js';
import { UpstreamError } from '../workos/fetch.js';

export interface DoctorInput {
  /** The options that the application passes to `authkit()`. */
  options: AuthKitOptions;
  env: NodeJS.ProcessEnv;
  nodeVersion: string;
  /** The application's folder. Installed packages are looked up from this folder. */
  folder: string;
}

/**
 * Runs all checks that are possible before the first user signs in. The checks do not change any data at WorkOS. If the
 * configuration is invalid, WorkOS is not called.
 */
export async function runChecks(input: DoctorInput): Promise<Finding[]> {
  const before = [checkNode(input.nodeVersion), ...checkPackages(input.folder)];
  let config;
  try {
    config = resolveConfig(input.options, input.env);
  } catch (error) {
    return [...before, ...configurationProblems(error)];
  }
  const workos = createWorkOSClient(config);
  return [
    ...before,
    finding('configuration', 'ok', 'Options and environment are complete.'),
    ...checkAddresses(config),
    ...checkCookie(config, input),
    ...(await checkKeysAndClock(config, workos)),
    await checkCredentials(workos),
  ];
}

function configurationProblems(error: unknown): Finding[] {
  if (!(error instanceof AuthKitError)) throw error;
  const problems = (error.details?.['problems'] as readonly string[] | undefined) ?? [error.message];
  const skipped = 'WorkOS was not called, because the configuration is invalid.';
  return [
    ...problems.map((problem) => finding('configuration', 'problem', problem)),
    finding('credentials', 'skipped', skipped),
  ];
}

function checkAddresses({ redirectUri, routes }: Config): Finding[] {
  const { origin, pathname } = new URL(redirectUri);
  const list = Object.entries(routes as unknown as Record<string, { public: string } | undefined>)
    .map(([name, route]) => (route ? `${name} at ${origin}${route.public}` : `no ${name}`))
    .join(', ');
  const { callback } = routes;
  const prefix = callback ? callback.public.slice(0, -callback.mounted.length) : '';
  const mount = prefix === '' ? 'app.use(authkit())' : `app.use('${prefix}', auth); app.use(auth.session)`;
  return [
    finding('addresses', 'ok', `Routes: ${list}. Mount with: ${mount}`),
    callback
      ? finding('addresses', 'ok', `${redirectUri} must be in the WorkOS dashboard, under Redirects.`)
      : finding(
          'addresses',
          'warning',
          `There is no callback route: the application has to handle ${pathname} itself.`,
        ),
  ];
}

function checkCookie(
  { redirectUri, cookie: { secure, sameSite, domain }, apiKey }: Config,
  { env }: DoctorInput,
): Finding[] {
  const { hostname } = new URL(redirectUri);
  const isLocal = isLoopback(hostname);
  const isProduction = env['NODE_ENV'] === 'production';
  const findings = [];
  if (secure) findings.push(finding('cookie', 'ok', 'Cookies are Secure, because redirectUri uses https.'));
  else if (isLocal && !isProduction)
    findings.push(
      finding('cookie', 'ok', 'Cookies are not Secure, because redirectUri uses http on this machine.'),
    );
  else {
    const message = `redirectUri uses http, so cookies are not Secure and can be read on the way: use https for ${hostname}.`;
    findings.push(finding('cookie', isProduction && !isLocal ? 'problem' : 'warning', message));
  }
  findings.push(cookieHosts(domain, hostname));
  if (sameSite === 'none')
    findings.push(
      finding(
        'cookie',
        'warning',
        'cookie.sameSite is "none": protect routes that change state against request forgery yourself.',
      ),
    );
  if (isProduction && apiKey.startsWith('sk_test_'))
    findings.push(
      finding(
        'credentials',
        'warning',
        'NODE_ENV is production, but the API key is that of a staging environment (sk_test_).',
      ),
    );
  return findings;
}

/**
 * Reports which hosts receive the session cookie. The most common cause of redirect loops is a page on a host that does
 * not receive the cookie.
 */
function cookieHosts(domain: string | undefined, hostname: string): Finding {
  const message =
    domain === undefined
      ? `Only ${hostname} receives the session cookie: pages on other hosts, subdomains included, need cookie.domain.`
      : `${domain} and all its subdomains receive the session cookie.`;
  return finding('cookie', 'ok', message);
}

/** The result of one check. */
export interface Finding {
  readonly check:
    'node' | 'packages' | 'configuration' | 'addresses' | 'cookie' | 'keys' | 'clock' | 'credentials';
  /** `problem` means that sign-ins will fail. `warning` means that something needs attention. */
  readonly status: 'ok' | 'warning' | 'problem' | 'skipped';
  /** What was found and, if necessary, what to do. It contains no secrets. */
  readonly message: string;
}

export function finding(check: Finding['check'], status: Finding['status'], message: string): Finding {
  return { check, status, message };
}

function checkNode(nodeVersion: string): Finding {
  return isAtLeast(nodeVersion, 20, 19)
    ? finding('node', 'ok', `Node ${nodeVersion}.`)
    : finding('node', 'problem', `Node ${nodeVersion} is too old: use 20.19 or later.`);
}

function checkPackages(folder: string): Finding[] {
  const sdk = versionOf('@workos-inc/node', folder);
  const express = versionOf('express', folder);
  const findings = [];
  if (sdk === undefined) {
    findings.push(
      finding('packages', 'problem', '@workos-inc/node is not installed: npm install @workos-inc/node'),
    );
  } else if (!isAtLeast(sdk, 10, 14)) {
    findings.push(finding('packages', 'problem', `@workos-inc/node ${sdk} is too old: use 10.14 or later.`));
  } else if (isAtLeast(sdk, 12, 0)) {
    findings.push(
      finding(
        'packages',
        'warning',
        `@workos-inc/node ${sdk} is newer than the versions that were tested, 10 and 11.`,
      ),
    );
  } else findings.push(finding('packages', 'ok', `@workos-inc/node ${sdk}.`));
  if (express === undefined)
    findings.push(finding('packages', 'ok', 'Express is not installed; Connect and node:http work too.'));
  else if (!isAtLeast(express, 4, 20))
    findings.push(finding('packages', 'problem', `Express ${express} is too old: use 4.20 or later.`));
  else findings.push(finding('packages', 'ok', `Express ${express}.`));
  return findings;
}

/**
 * Returns the version of an installed package, or `undefined` if the package is not installed. Its package.json is read
 * as a file rather than imported, because the package may not export it.
 */
function versionOf(name: string, folder: string): string | undefined {
  const folders = createRequire(join(folder, 'index.js')).resolve.paths(name) ?? [];
  const file = folders.map((path) => join(path, name, 'package.json')).find(existsSync);
  return file === undefined
    ? undefined
    : (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

function isAtLeast(version: string, major: number, minor: number): boolean {
  const [has = 0, with_ = 0] = version.replace(/^v/, '').split('.').map(Number);
  return has > major || (has === major && with_ >= minor);
}

/**
 * A clock difference of more than this many seconds is reported as a warning. One of more than {@link CLOCK_TOLERANCE}
 * is a problem.
 */
const UNREPORTED_DIFFERENCE = 5;

async function checkKeysAndClock({ now, api }: Config, workos: WorkOSClient): Promise<Finding[]> {
  try {
    const response = await workos.fetchKeysResponse();
    const { keys = [] } = (await response.json()) as { keys?: unknown[] };
    const { length } = keys;
    return [
      length > 0
        ? finding(
            'keys',
            'ok',
            `${api.origin} is reachable, and has ${length === 1 ? '1 key' : `${length} keys`}.`,
          )
        : finding('keys', 'problem', `${api.origin} has no keys for this client: check WORKOS_CLIENT_ID.`),
      ...checkClock(now(), Date.parse(response.headers.get('date') ?? '')),
    ];
  } catch (error) {
    const { status, message } = UpstreamError.from(error) ?? { status: undefined, message: 'no response' };
    const fix = status === 404 ? 'check WORKOS_CLIENT_ID' : 'check the network, and apiHostname if it is set';
    return [
      finding('keys', 'problem', `The keys of ${api.origin} could not be fetched, ${message}: ${fix}.`),
    ];
  }
}

function checkClock(here: number, there: number): Finding[] {
  if (Number.isNaN(there)) return [];
  const difference = Math.round((here - there) / 1000);
  const size = Math.abs(difference);
  if (size <= UNREPORTED_DIFFERENCE)
    return [finding('clock', 'ok', 'The clock of this machine agrees with that of WorkOS.')];
  const side = difference > 0 ? 'ahead of' : 'behind';
  const message =
    `The clock of this machine is ${size} s ${side} that of WorkOS: synchronize it with NTP. ` +
    `If the difference is more than ${CLOCK_TOLERANCE} s, valid tokens may be refused.`;
  return [finding('clock', size > CLOCK_TOLERANCE ? 'problem' : 'warning', message)];
}

/**
 * Checks the API key by sending a refresh token that cannot exist. If WorkOS refuses the refresh token but not the API
 * key, the API key is valid.
 */
async function checkCredentials(workos: WorkOSClient): Promise<Finding> {
  const result = await workos.refresh('authkit-express-doctor', undefined);
  if (result.kind !== 'unavailable')
    return finding('credentials', 'ok', 'WorkOS accepts the API key and the client id.');
  const reply = UpstreamError.from(result.error.cause);
  const status = reply?.status;
  if (status === 401 || status === 403 || status === 404) {
    const message = `WorkOS answers ${status}: the API key and the client id belong to different environments, or one of them is wrong.`;
    return finding('credentials', 'problem', message);
  }
  return finding('credentials', 'warning', `The API key could not be checked: ${result.error.message}.`);
}
