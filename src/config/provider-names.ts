/** WorkOS's hosted sign-in, as opposed to an OAuth provider behind it. */
export const AUTHKIT = 'authkit';

/**
 * The OAuth providers that WorkOS supports, by WorkOS's names. The last three are not in WorkOS's OpenAPI description
 * yet.
 */
export const PROVIDERS = [
  'AppleOAuth',
  'BitbucketOAuth',
  'GitHubOAuth',
  'GitLabOAuth',
  'GoogleOAuth',
  'IntuitOAuth',
  'LinkedInOAuth',
  'MicrosoftOAuth',
  'SalesforceOAuth',
  'SlackOAuth',
  'VercelMarketplaceOAuth',
  'VercelOAuth',
  'XeroOAuth',
  'DiscordOAuth',
  'GrokOAuth',
  'XOAuth',
] as const;

/**
 * The form of WorkOS's provider names. Any name of this form is accepted, so applications can use a provider that is
 * newer than this list.
 */
const OWN_NAME = /^[A-Z][A-Za-z]{0,40}OAuth$/;

const BY_NAME = new Map<string, string>([
  [AUTHKIT, AUTHKIT],
  // Some links name WorkOS itself as the provider.
  ['workos', AUTHKIT],
  ...PROVIDERS.flatMap((name): [string, string][] => [
    [name, name],
    [shortName(name), name],
  ]),
]);

/** Returns the short name of a provider, such as `google` for `GoogleOAuth`. */
export function shortName(provider: string): string {
  return provider.replace(/OAuth$/, '').toLowerCase();
}

/** WorkOS's name for a provider, given that name or the short one; `undefined` if there is no such provider. */
export function providerNamed(name: string): string | undefined {
  return BY_NAME.get(name) ?? (OWN_NAME.test(name) ? name : undefined);
}
