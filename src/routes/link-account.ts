import { canParse } from '../url-can-parse.js';
import type { AuthenticateRequest } from '../auth/request-auth.js';
import type { Config } from '../config/index.js';
import { ownProperties } from '../plain-objects.js';
import { AuthKitError, unavailable } from '../errors.js';
import { navigationOnly } from '../http/error-response.js';
import type { Handler, Request, Response } from '../http/handler-to-middleware.js';
import { sendPage } from '../http/pages.js';
import { header, lastSegment, query, single } from '../http/request.js';
import { redirect } from '../http/response.js';
import { safeReturnTo } from '../http/return-to.js';
import type { WorkOSClient } from '../workos/api-client.js';

export interface LinkAccountDependencies {
  config: Config;
  authenticateRequest: AuthenticateRequest;
  workos: Pick<WorkOSClient, 'call'>;
}

const SLUG = /^[\w-]{1,64}$/;

/**
 * Creates the handler of `GET /connect/:slug`, which must be behind a guard. It sends the user to WorkOS Pipes to link
 * an external account. The user then returns to `returnTo`.
 *
 * @see https://workos.com/docs/reference/pipes/access-token/get-authorization-url
 */
export function createLinkAccount(dependencies: LinkAccountDependencies): Handler {
  const { config } = dependencies;
  return navigationOnly(async (req, res) => {
    const slug = lastSegment(req);
    if (!SLUG.test(slug)) throw unknownProvider();
    const requested = single(query(req), 'returnTo', 'return_to', 'redirectTo');
    const returnTo = safeReturnTo(requested, config.returnToRules) ?? config.returnTo;
    if (!isOwnNavigation(req)) return sendConfirmation(req, res, slug, returnTo, config);
    return redirect(res, await linkUrl(slug, returnTo, await ownerOf(req, res, dependencies), dependencies));
  });
}

/**
 * Whether the request comes from a page of this application or from a typed address. Older browsers do not send Fetch
 * Metadata headers, so a request without these headers is accepted too.
 */
function isOwnNavigation(req: Request): boolean {
  const site = header(req, 'sec-fetch-site') ?? '';
  return ['', 'none', 'same-origin'].includes(site);
}

/**
 * Sends a page that asks the user to confirm that the account should be linked. Without confirmation, another site
 * could send the user to this route to link an account that does not belong to the user.
 */
function sendConfirmation(
  req: Request,
  res: Response,
  slug: string,
  returnTo: string,
  config: Config,
): Promise<'sent'> {
  const path = config.routes.connect?.public ?? '';
  const href = `${path}/${slug}?returnTo=${encodeURIComponent(returnTo)}`;
  return sendPage(req, res, { name: 'linkAccount', link: { href, label: 'continue' } }, config);
}

interface Owner {
  readonly userId: string;
  readonly organizationId?: string;
}

async function ownerOf(
  req: Request,
  res: Response,
  { authenticateRequest }: LinkAccountDependencies,
): Promise<Owner> {
  const auth = (await authenticateRequest(req, res)).auth();
  if (auth.type !== 'session') throw new AuthKitError('unauthenticated', 'sign in first');
  const { user, organizationId } = auth;
  return { userId: user.id, ...(organizationId === undefined ? {} : { organizationId }) };
}

async function linkUrl(
  slug: string,
  returnTo: string,
  owner: Owner,
  { config, workos }: LinkAccountDependencies,
): Promise<string> {
  const returnUrl = new URL(returnTo, config.redirectUri).href;
  const result = await workos.call(({ pipes }) =>
    pipes.authorizeDataIntegration(ownProperties({ slug, ...owner, returnTo: returnUrl })),
  );
  if (result.kind === 'refused') throw unknownProvider(result.error);
  if (result.kind === 'unavailable') throw result.error;
  const { url } = result.value as { url: unknown };
  if (typeof url === 'string' && /^https?:\/\//i.test(url) && canParse(url)) return new URL(url).href;
  throw unavailable('WorkOS sent no URL for linking the account');
}

function unknownProvider(cause?: AuthKitError): AuthKitError {
  const message = 'the provider is unknown or cannot be connected';
  return new AuthKitError('invalid_provider', message, cause ? { cause } : {});
}
