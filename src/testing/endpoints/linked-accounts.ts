import type { Directory } from '../state/users-and-organizations.js';
import { newSecret } from '../state/tokens.js';
import { apiError, json, redirect, text, type Route } from './request-and-response.js';

/** A link between a user and an account at a provider. It is pending until the browser opens the authorization URL. */
interface AccountLink {
  readonly slug: string;
  readonly userId: string;
  readonly returnTo: string | undefined;
}

export interface Pipes {
  /** Returns the slugs of the providers that a user has linked accounts with. */
  linkedBy: (userId: string) => readonly string[];
  routes: () => Route[];
}

export interface PipesDependencies {
  /** The slugs of the configured providers. */
  providers: readonly string[];
  directory: Directory;
  url: string;
  homepage: () => string;
}

/** @see https://workos.com/docs/reference/pipes/access-token/get-authorization-url */
export function createPipes({ providers, directory, url, homepage }: PipesDependencies): Pipes {
  const pending = new Map<string, AccountLink>();
  const linked: AccountLink[] = [];
  const routes: Route[] = [
    {
      on: 'POST /data-integrations/:slug/authorize',
      operation: 'pipes',
      handle: ({ body }, { slug = '' }) => {
        const [userId, organizationId] = [text(body?.['user_id']), text(body?.['organization_id'])];
        if (userId === undefined || !directory.getUser(userId)) return apiError(400, 'User not found.');
        if (organizationId !== undefined && !directory.getOrganization(organizationId))
          return apiError(400, `Organization not found: '${organizationId}'.`);
        if (!providers.includes(slug)) return apiError(404, `Provider not found: '${slug}'.`);
        const token = newSecret();
        pending.set(token, { slug, userId, returnTo: text(body?.['return_to']) });
        return json(200, { url: `${url}/data-integrations/${token}/authorize-redirect` });
      },
    },
    {
      // The application redirects the browser to this URL. The test WorkOS immediately links the account and redirects
      // the browser back.
      on: 'GET /data-integrations/:token/authorize-redirect',
      operation: 'link',
      needsApiKey: false,
      handle: (_, { token = '' }) => {
        const link = pending.get(token);
        pending.delete(token);
        if (!link) return apiError(404, 'Not Found');
        linked.push(link);
        return redirect(link.returnTo ?? homepage());
      },
    },
  ];
  return {
    linkedBy: (userId) => linked.filter((one) => one.userId === userId).map(({ slug }) => slug),
    routes: () => routes,
  };
}
