import type { AnswerError } from './answer.js';
import { single } from './authorization/index.js';
import type { Config } from './config/index.js';
import { AuthKitError, unavailable } from './errors.js';
import { header, lastSegment, query, redirect, type Handler, type Request } from './http.js';
import { pageRoute } from './page-route.js';
import { sendPage } from './pages.js';
import { safeReturnTo } from './return-to.js';
import type { OpenVisit } from './visits.js';
import type { WorkOSDoor } from './workos.js';

export interface ConnectParts {
  config: Config;
  openVisit: OpenVisit;
  door: WorkOSDoor;
  answer: AnswerError;
}

const SLUG = /^[\w-]{1,64}$/;

/**
 * `GET /connect/:slug`: links an account of the person who is signed in, by WorkOS Pipes, and comes back to `returnTo`.
 * Behind a guard.
 *
 * @see https://workos.com/docs/reference/pipes/access-token/get-authorization-url
 */
export function createConnect(parts: ConnectParts): Handler {
  const { config, answer } = parts;
  return pageRoute(answer, async (req, res) => {
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
  req: Parameters<OpenVisit>[0],
  res: Parameters<OpenVisit>[1],
  { openVisit }: ConnectParts,
): Promise<Owner> {
  const auth = (await openVisit(req, res)).auth();
  if (auth.type !== 'session') throw new AuthKitError('unauthenticated', 'sign in first');
  const { user, organizationId } = auth;
  return { userId: user.id, ...(organizationId === undefined ? {} : { organizationId }) };
}

async function linkUrl(
  slug: string,
  returnTo: string,
  owner: Owner,
  { config, door }: ConnectParts,
): Promise<string> {
  const back = new URL(returnTo, config.redirectUri).href;
  const reply = await door.call(({ pipes }) =>
    pipes.authorizeDataIntegration({ slug, ...owner, returnTo: back }),
  );
  if (reply.kind === 'refused') throw noProvider(reply.error);
  if (reply.kind === 'unreachable') throw reply.error;
  const { url } = reply.value as { url: unknown };
  if (typeof url === 'string' && /^https?:\/\//i.test(url) && URL.canParse(url)) return new URL(url).href;
  throw unavailable('WorkOS sent no address to connect an account at');
}

function noProvider(cause?: AuthKitError): AuthKitError {
  return new AuthKitError('invalid_provider', 'there is no such provider to connect', cause ? { cause } : {});
}
