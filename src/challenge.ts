/** What `WWW-Authenticate` says, in the names of RFC 6750 section 3, RFC 9470 section 3 and RFC 9728 section 5.1. */
export interface Challenge {
  error?: 'invalid_token' | 'insufficient_scope' | 'insufficient_user_authentication';
  error_description?: string;
  /** Seconds. */
  max_age?: number;
  scope?: string;
  resource_metadata?: string;
}

/** One challenge of the scheme Bearer. Every value is ours or configured: none needs more than quotes. */
export function bearerChallenge(challenge: Challenge): Readonly<Record<'WWW-Authenticate', string>> {
  const params = Object.entries(challenge)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}="${String(value)}"`);
  return { 'WWW-Authenticate': ['Bearer', params.join(', ')].join(' ').trim() };
}
