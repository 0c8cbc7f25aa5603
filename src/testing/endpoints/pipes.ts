import type { Directory } from '../state/directory.js';
import { newSecret } from '../state/tokens.js';
import { type Handler, apiError, json, redirect, text } from './http.js';

/** Where somebody is asked to link an account, until they have. */
interface Pending {
  readonly slug: string;
  readonly userId: string;
  readonly returnTo: string | undefined;
}

export interface Pipes {
  /** `POST /data-integrations/:slug/authorize` */
  authorize: Handler;
  /** `GET /data-integrations/:token/authorize-redirect`: where the browser is sent; the account is linked at once. */
  link: Handler;
  /** Slugs of the accounts that a person has linked. */
  linkedBy: (userId: string) => readonly string[];
}

export interface PipesParts {
  apiKey: string;
  /** Slugs of the providers that are set up. */
  providers: readonly string[];
  directory: Directory;
  url: string;
  homepage: () => string;
}

/** @see https://workos.com/docs/reference/pipes/access-token/get-authorization-url */
export function createPipes({ apiKey, providers, directory, url, homepage }: PipesParts): Pipes {
  const pending = new Map<string, Pending>();
  const linked: Pending[] = [];
  return {
    authorize: ({ path, body, authorization }) => {
      if (authorization !== `Bearer ${apiKey}`) return apiError(401, 'Unauthorized');
      const slug = decodeURIComponent(path.split('/')[2] ?? '');
      const [userId, organizationId] = [text(body?.['user_id']), text(body?.['organization_id'])];
      if (userId === undefined || !directory.find(userId)) return apiError(400, 'User not found.');
      if (organizationId !== undefined && !directory.findOrganization(organizationId))
        return apiError(400, `Organization not found: '${organizationId}'.`);
      if (!providers.includes(slug)) return apiError(404, `Provider not found: '${slug}'.`);
      const token = newSecret();
      pending.set(token, { slug, userId, returnTo: text(body?.['return_to']) });
      return json(200, { url: `${url}/data-integrations/${token}/authorize-redirect` });
    },
    link: ({ path }) => {
      const token = path.split('/')[2] ?? '';
      const found = pending.get(token);
      pending.delete(token);
      if (!found) return apiError(404, 'Not Found');
      linked.push(found);
      return redirect(found.returnTo ?? homepage());
    },
    linkedBy: (userId) => linked.filter((one) => one.userId === userId).map(({ slug }) => slug),
  };
}
