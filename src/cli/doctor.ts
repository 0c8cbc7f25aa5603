import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { type Config, resolveConfig } from '../config/index.js';
import type { AuthKitOptions } from '../config/options.js';
import { AuthKitError } from '../errors.js';
import { createWorkOSClient, type WorkOSClient } from '../workos/client.js';
import { UpstreamError } from '../workos/fetch.js';

export interface DoctorInput {
  /** What the application passes to `authkit()`, beside the environment. */
  options: AuthKitOptions;
  env: NodeJS.ProcessEnv;
  nodeVersion: string;
  /** Folder of the application, from which it loads its packages. */
  folder: string;
}

/** Looks at everything that can be wrong before the first person signs in. Calls WorkOS; changes nothing there. */
export async function runChecks(patient: DoctorInput): Promise<Finding[]> {
  const before = [node(patient.nodeVersion), ...packages(patient.folder)];
  let config;
  try {
    config = resolveConfig(patient.options, patient.env);
  } catch (error) {
    return [...before, ...configurationProblems(error)];
  }
  const workos = createWorkOSClient(config);
  return [
    ...before,
    finding('configuration', 'ok', 'Options and environment are complete.'),
    ...addresses(config),
    ...cookie(config, patient),
    ...(await keysAndClock(config, workos)),
    await credentials(workos),
  ];
}

function configurationProblems(error: unknown): Finding[] {
  if (!(error instanceof AuthKitError)) throw error;
  const problems = (error.details?.['problems'] as readonly string[] | undefined) ?? [error.message];
  const unasked = 'WorkOS was not asked, since the configuration is not complete.';
  return [
    ...problems.map((problem) => finding('configuration', 'problem', problem)),
    finding('credentials', 'skipped', unasked),
  ];
}

function addresses({ redirectUri, routes }: Config): Finding[] {
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
      ? finding('addresses', 'ok', `WorkOS has to know ${redirectUri}: dashboard, Redirects.`)
      : finding(
          'addresses',
          'warning',
          `No callback route: the application has to answer ${pathname} itself.`,
        ),
  ];
}

function cookie(
  { redirectUri, cookie: { secure, sameSite, domain }, apiKey }: Config,
  { env }: DoctorInput,
): Finding[] {
  const { hostname } = new URL(redirectUri);
  const isLocal = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\]|.*\.localhost)$/.test(hostname);
  const isProduction = env['NODE_ENV'] === 'production';
  const findings = [];
  if (secure) findings.push(finding('cookie', 'ok', 'Cookies are Secure, since redirectUri is https.'));
  else if (isLocal && !isProduction)
    findings.push(finding('cookie', 'ok', 'http on this machine: cookies are not Secure.'));
  else {
    const message = `redirectUri is http, so cookies are not Secure and anybody on the way reads them: use https for ${hostname}.`;
    findings.push(finding('cookie', isProduction && !isLocal ? 'problem' : 'warning', message));
  }
  findings.push(reach(domain, hostname));
  if (sameSite === 'none')
    findings.push(
      finding(
        'cookie',
        'warning',
        'cookie.sameSite is "none": guard what changes state against forgery yourself.',
      ),
    );
  if (isProduction && apiKey.startsWith('sk_test_'))
    findings.push(
      finding(
        'credentials',
        'warning',
        'NODE_ENV is production, but the API key is one of a staging environment (sk_test_).',
      ),
    );
  return findings;
}

/** What a circle of sign-ins is most often about: pages that the cookie does not reach. */
function reach(domain: string | undefined, hostname: string): Finding {
  const message =
    domain === undefined
      ? `Sessions are of ${hostname} alone: pages at other hosts, sub-domains included, need cookie.domain.`
      : `Sessions are of ${domain} and all its sub-domains.`;
  return finding('cookie', 'ok', message);
}

/** What one look found. */
export interface Finding {
  readonly check:
    'node' | 'packages' | 'configuration' | 'addresses' | 'cookie' | 'keys' | 'clock' | 'credentials';
  /** `problem`: it will not work. `warning`: it works, but look at it. */
  readonly status: 'ok' | 'warning' | 'problem' | 'skipped';
  /** A sentence, with the fix if there is something to fix. Nothing secret. */
  readonly message: string;
}

export function finding(check: Finding['check'], status: Finding['status'], message: string): Finding {
  return { check, status, message };
}

export function node(nodeVersion: string): Finding {
  return isAtLeast(nodeVersion, 20, 19)
    ? finding('node', 'ok', `Node ${nodeVersion}.`)
    : finding('node', 'problem', `Node ${nodeVersion} is too old: use 20.19 or later.`);
}

/** @param folder Of the application, from which it loads its packages. */
export function packages(folder: string): Finding[] {
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
      finding('packages', 'warning', `@workos-inc/node ${sdk} is newer than what was tested: 10 and 11.`),
    );
  } else findings.push(finding('packages', 'ok', `@workos-inc/node ${sdk}.`));
  if (express === undefined)
    findings.push(finding('packages', 'ok', 'No Express: Connect or node:http, then.'));
  else if (!isAtLeast(express, 4, 20))
    findings.push(finding('packages', 'problem', `Express ${express} is too old: use 4.20 or later.`));
  else findings.push(finding('packages', 'ok', `Express ${express}.`));
  return findings;
}

/** By looking, not by loading: a package may keep its package.json out of its exports. */
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

/** Clocks may differ by this much before a session is judged wrongly, in seconds. */
const TOLERABLE_SKEW = 5;

const DANGEROUS_SKEW = 30;

export async function keysAndClock({ now, api }: Config, workos: WorkOSClient): Promise<Finding[]> {
  try {
    const response = await workos.fetchKeysResponse();
    const { keys = [] } = (await response.json()) as { keys?: unknown[] };
    const { length } = keys;
    return [
      length > 0
        ? finding(
            'keys',
            'ok',
            `${api.origin} is reachable, and has ${length === 1 ? 'a key' : `${length} keys`}.`,
          )
        : finding('keys', 'problem', `${api.origin} has no keys for this client: check WORKOS_CLIENT_ID.`),
      ...clock(now(), Date.parse(response.headers.get('date') ?? '')),
    ];
  } catch (error) {
    const { status, message } = UpstreamError.from(error) ?? { status: undefined, message: 'no answer' };
    const fix = status === 404 ? 'check WORKOS_CLIENT_ID' : 'check the network, and apiHostname if it is set';
    return [finding('keys', 'problem', `The keys of ${api.origin} could not be had, ${message}: ${fix}.`)];
  }
}

function clock(here: number, there: number): Finding[] {
  if (Number.isNaN(there)) return [];
  const skew = Math.round((here - there) / 1000);
  const size = Math.abs(skew);
  if (size <= TOLERABLE_SKEW) return [finding('clock', 'ok', 'The clock agrees with that of WorkOS.')];
  const side = skew > 0 ? 'ahead of' : 'behind';
  const message = `The clock is ${size} s ${side} that of WorkOS: set it by NTP, or tokens are judged wrongly.`;
  return [finding('clock', size > DANGEROUS_SKEW ? 'problem' : 'warning', message)];
}

/** A refresh token that cannot exist: who is refused for that, and not for the key, has the right key. */
export async function credentials(workos: WorkOSClient): Promise<Finding> {
  const answer = await workos.refresh('authkit-express-doctor', undefined);
  if (answer.kind !== 'unavailable')
    return finding('credentials', 'ok', 'WorkOS accepts the API key and the client id.');
  const reply = UpstreamError.from(answer.error.cause);
  const status = reply?.status;
  if (status === 401 || status === 403 || status === 404) {
    const message = `WorkOS answers ${status}: the API key and the client id are not of one environment, or one is wrong.`;
    return finding('credentials', 'problem', message);
  }
  return finding(
    'credentials',
    'warning',
    `Whether the API key is right could not be told: ${answer.error.message}.`,
  );
}
