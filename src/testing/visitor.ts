/** What a person does on the sign-in page. */
export interface TestVisit {
  /** Id or e-mail address; default the first person. */
  user?: string;
  /** Default: what the application asks for, else the person's first organization; `null` for none. */
  organizationId?: string | null;
  /** Refuses to sign in. */
  deny?: boolean;
}

/**
 * Visits an authorization URL as a browser does and makes the choice, over HTTP.
 *
 * @returns Where WorkOS redirects to: the application's callback.
 * @throws {Error} If WorkOS shows an error in place of the sign-in page.
 */
export async function visit(url: URL, { organizationId, user, deny = false }: TestVisit): Promise<string> {
  const page = await fetch(url);
  if (!page.ok) throw await refusal(page);
  await page.arrayBuffer();
  const choice = new URLSearchParams({ request: url.searchParams.toString() });
  if (user !== undefined) choice.set('user', user);
  if (organizationId !== undefined) choice.set('organization_id', organizationId ?? '');
  if (deny) choice.set('decision', 'deny');
  const answer = await fetch(new URL(`${url.pathname}/choose`, url), {
    method: 'POST',
    body: choice,
    redirect: 'manual',
  });
  const callback = answer.headers.get('location');
  if (callback === null) throw await refusal(answer);
  await answer.arrayBuffer();
  return callback;
}

async function refusal(answer: Response): Promise<Error> {
  return new Error(`WorkOS refuses this sign-in with ${answer.status}: ${await answer.text()}`);
}
