import { resolveConfig, type Config } from '../config/index.js';
import { AuthKitError } from '../errors.js';
import type { AuthKitOptions } from '../options.js';
import { createWorkOSClient } from '../workos.js';
import { finding, type Finding } from './finding.js';
import { node, packages } from './machine.js';
import { credentials, keysAndClock } from './reach.js';

export type { Finding };

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
