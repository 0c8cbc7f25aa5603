import type { TokenClaims, Verdict, VerifyAccessToken } from './access-token.js';
import type { Caller, Credential } from './auth.js';
import { apiKey, bearer, machine } from './callers.js';
import { createDirectory, type Directory } from './directory.js';
import { unavailable, type AuthKitError } from './errors.js';
import { createGrantVerifier } from './grant.js';
import type { Request } from './http.js';
import { after } from './waiting.js';
import type { Answer, WorkOSDoor } from './workos.js';

/** RFC 6750 section 2.1, the scheme in any case (RFC 9110 section 11.1), and no longer than a token can be. */
const BEARER = /^bearer(?: +([\w.~+/-]+=*) *)?$/i;
const MAX_LENGTH = 16_384;

/** What a token comes to. Unknown says nothing about it: WorkOS could not be asked. */
export type Judgement =
  | { readonly kind: 'accepted'; readonly caller: Caller }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'unknown'; readonly error: AuthKitError };

export type JudgeToken = (token: string, accepts: ReadonlySet<Credential>) => Judgement | Promise<Judgement>;

/**
 * The bearer token that a request brought: empty if it is malformed, `undefined` without one. Other schemes, such as
 * the `Basic` of a proxy in front of a test site, say nothing about the caller.
 */
export function tokenOf(req: Request): string | undefined {
  const { authorization } = req.headers;
  if (authorization === undefined || !/^bearer(?: |$)/i.test(authorization)) return undefined;
  return authorization.length > MAX_LENGTH ? '' : (BEARER.exec(authorization)?.[1] ?? '');
}

/** The judges of an instance. */
export interface TokenJudges {
  /** Of access tokens of sessions, and API keys. */
  ofSessions: JudgeToken;
  /** Of access tokens that an OAuth server at one of these addresses issued for this audience, and API keys. */
  ofResource: (audience: readonly string[], authorizationServers: readonly string[]) => JudgeToken;
}

export interface TokenJudgesParts {
  verify: VerifyAccessToken;
  door: WorkOSDoor;
  /** False for a token of a session that was ended. */
  isLive: (claims: TokenClaims) => boolean | Promise<boolean>;
  now: () => number;
  patience: number;
}

export function createTokenJudges({ verify, door, isLive, now, patience }: TokenJudgesParts): TokenJudges {
  const { users, apiKeys } = createDirectory({ call: door.call, now, patience });
  return {
    ofSessions: createJudgeToken({ verify, users, apiKeys, isLive }),
    ofResource: (audience, servers) => {
      const fetchKeys = door.fetchIssuerKeys;
      const ofGrants = createGrantVerifier({ audience, servers, fetchKeys, now, patience });
      return createJudgeToken({ verify: ofGrants, users, apiKeys, isLive });
    },
  };
}

interface JudgeTokenParts extends Directory {
  verify: VerifyAccessToken;
  isLive: (claims: TokenClaims) => boolean | Promise<boolean>;
}

/** Makes the judge of bearer tokens: an access token is a JWT and has dots, an API key of WorkOS's has none. */
function createJudgeToken(parts: JudgeTokenParts): JudgeToken {
  return (token, accepts) => {
    if (token === '') return refused('malformed');
    if (!token.includes('.')) {
      return accepts.has('apiKey') ? judgeKey(token, parts) : refused('not an access token');
    }
    if (!accepts.has('bearer') && !accepts.has('machine')) return refused('no access token is accepted here');
    const verdict = parts.verify(token);
    return verdict instanceof Promise
      ? verdict.then((found) => judge(token, found, accepts, parts))
      : judge(token, verdict, accepts, parts);
  };
}

function judge(
  token: string,
  verdict: Verdict,
  accepts: ReadonlySet<Credential>,
  { users, isLive }: JudgeTokenParts,
): Judgement | Promise<Judgement> {
  if (verdict.kind === 'unknown') return { kind: 'unknown', error: unavailable('the keys could not be had') };
  if (verdict.kind !== 'valid') return refused(verdict.kind === 'expired' ? 'expired' : verdict.reason);
  const claims: TokenClaims = verdict.claims;
  const type = isMachine(claims) ? 'machine' : 'bearer';
  if (!accepts.has(type)) return refused(`no ${type} token is accepted here`);
  return after(isLive(claims), (live) => {
    if (!live) return refused('signed out');
    if (type === 'machine') return accepted(machine(claims, token));
    return settle(users(claims.sub), (user) => bearer(user, claims, token));
  });
}

/** Of the client credentials grant: WorkOS names the application itself as the subject. */
function isMachine({ sub }: TokenClaims): boolean {
  return sub.startsWith('client_');
}

function judgeKey(key: string, { apiKeys }: JudgeTokenParts): Judgement | Promise<Judgement> {
  return settle(apiKeys(key), apiKey);
}

function settle<T>(
  answer: Answer<T> | Promise<Answer<T>>,
  build: (value: T) => Caller,
): Judgement | Promise<Judgement> {
  if (answer instanceof Promise) return answer.then((value) => settle(value, build));
  if (answer.kind === 'granted') return accepted(build(answer.value));
  return answer.kind === 'refused' ? refused('unknown to WorkOS') : { kind: 'unknown', error: answer.error };
}

function accepted(caller: Caller): Judgement {
  return { kind: 'accepted', caller };
}

function refused(reason: string): Judgement {
  return { kind: 'refused', reason };
}
