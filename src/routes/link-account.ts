import type { AuthenticateRequest } from '../auth/request-auth.js';
import type { Config } from '../config/index.js';
import { AuthKitError, unavailable } from '../errors.js';
import { navigationOnly, type RespondWithError } from '../http/error-response.js';
import type { Handler, Request } from '../http/middleware.js';
import { sendPage } from '../http/pages.js';
import { header, lastSegment, query, single } from '../http/request.js';
import { redirect } from '../http/response.js';
import { safeReturnTo } from '../http/return-to.js';
import type { WorkOSClient } from '../workos/client.js';

export interface LinkAccountDependencies {
  config: Config;
  authenticateRequest: AuthenticateRequest;
  workos: WorkOSClient;
  answer: RespondWithError;
}

const SLUG = /^[\w-]{1,64}$/;

/**
 * `GET /connect/:slug`: links an account of the person who is signed in, by WorkOS Pipes, and comes back to `returnTo`.
 * Behind a guard.
 *
 * @see https://workos.com/docs/reference/pipes/access-token/get-authorization-url
 */
export function createLinkAccount(parts: LinkAccountDependencies): Handler {
  const { config, answer } = parts;
  return navigationOnly(answer, async (req, res) => {
    const slug = lastSegment(req);
    if (!SLUG.test(slug)) throw noProvider();
    const asked = single(query(req), 'returnTo', 'return_to', 'redirectTo');
    const returnTo = safeReturnTo(asked, config.returnToRules) ?? config.returnTo;
    // Elsewhere somebody may have sent the person here, to an account at the provider that is not theirs.
    if (!isOwn(req)) {
      const href = `${config.routes.connect?.public ?? ''}/${slug}?returnTo=${encodeURIComponent(returnTo)}`;
      return sendPage(res, 200, {
        title: 'Connect an account?',
        text: 'You are about to connect an account of yours elsewhere with this application.',
        link: { href, label: 'Continue' },
      });
    }
    return redirect(res, await linkUrl(slug, returnTo, await ownerOf(req, res, parts), parts));
  });
}

/** A click on a page of this application, or an address that somebody typed; older browsers do not say. */
function isOwn(req: Request): boolean {
  const site = header(req, 'sec-fetch-site') ?? '';
  return ['', 'none', 'same-origin'].includes(site);
}

interface Owner {
  readonly userId: string;
  readonly organizationId?: string;
}

async function ownerOf(
  req: Parameters<AuthenticateRequest>[0],
  res: Parameters<AuthenticateRequest>[1],
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
  const back = new URL(returnTo, config.redirectUri).href;
  const reply = await workos.call(({ pipes }) =>
    pipes.authorizeDataIntegration({ slug, ...owner, returnTo: back }),
  );
  if (reply.kind === 'refused') throw noProvider(reply.error);
  if (reply.kind === 'unavailable') throw reply.error;
  const { url } = reply.value as { url: unknown };
  if (typeof url === 'string' && /^https?:\/\//i.test(url) && URL.canParse(url)) return new URL(url).href;
  throw unavailable('WorkOS sent no address to connect an account at');
}

function noProvider(cause?: AuthKitError): AuthKitError {
  return new AuthKitError('invalid_provider', 'there is no such provider to connect', cause ? { cause } : {});
}
