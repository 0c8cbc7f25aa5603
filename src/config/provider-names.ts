/** The provider name of WorkOS's hosted sign-in page. Every other provider name identifies an OAuth provider. */
export const AUTHKIT = 'authkit';

/**
 * WorkOS's names for the OAuth providers that it supports. The last three names are not in WorkOS's OpenAPI description
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
 * The format of WorkOS's provider names. Any name in this format is accepted, so applications can use a provider that
 * is newer than the list in {@link PROVIDERS}.
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

/**
 * Returns WorkOS's name for a provider, given either that name or the provider's short name. Returns `undefined` if
 * there is no such provider.
 */
export function providerNamed(name: string): string | undefined {
  return BY_NAME.get(name) ?? (OWN_NAME.test(name) ? name : undefined);
}
