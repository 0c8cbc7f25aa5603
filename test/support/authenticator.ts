import { type AuthKitError, unavailable } from '../../src/errors.js';
import { createAuthenticator } from '../../src/session/authenticate-session.js';
import { createSessionStorage } from '../../src/session/cookie-or-store.js';
import { createRefresh } from '../../src/session/refresh.js';
import { createTokenRefresh } from '../../src/session/refresh-at-workos.js';
import { createRevocation } from '../../src/session/revocation.js';
import {
  openSession,
  problemOfSealed,
  sealSession,
  type Session,
  toSession,
} from '../../src/session/sealed-session.js';
import { createSignedStore } from '../../src/stores/signed-store.js';
import type { Store } from '../../src/stores/index.js';
import type { Claims, TokenVerification } from '../../src/workos/access-token.js';
import type { ApiResult, Tokens } from '../../src/workos/api-client.js';

export const PASSWORDS = ['a-password-for-tests-and-for-nothing-else'] as const;

/** The lifetime of an access token, in milliseconds. A token is due for a refresh one minute before it expires. */
export const LIFETIME = 300_000;

const MAC = 'mac';

type Answer = ApiResult<Tokens>;

/** A WorkOS in the same process as the test, without HTTP and signatures. */
export class UnsignedWorkOS {
  now = Date.UTC(2026, 0, 1);
  /** How far the clocks of the application's processes are ahead of `now`, in milliseconds. */
  skew = 0;
  /** The refresh token and organization ID of each refresh. */
  readonly refreshes: [refreshToken: string, organizationId: string | undefined][] = [];
  /** The access tokens whose signature was verified. */
  readonly verified: string[] = [];
  /** Returns whether the signing key of an access token can be fetched. */
  keyOf: (claims: Claims, isTrusted: boolean) => 'found' | 'unknown' | 'unavailable' = () => 'found';
  /** Changes the response to a refresh. */
  respond: (tokens: () => Answer) => Answer | Promise<Answer> = (tokens) => tokens();

  private issued = 0;
  private readonly users = new Map<string, { id: string; sid: string }>();
  private readonly answers = new Map<string, Answer>();

  /** Signs a user in. */
  signIn(userId = 'user_1', organizationId?: string): Session {
    const tokens = this.issue(userId, `session_${userId}`, organizationId);
    return toSession({ ...tokens, organizationId }, { tokenMac: undefined });
  }

  refresh = async (refreshToken: string, organizationId: string | undefined): Promise<Answer> => {
    this.refreshes.push([refreshToken, organizationId]);
    return this.respond(() => this.rotate(refreshToken, organizationId));
  };

  verify = async (token: string, isTrusted = false): Promise<TokenVerification> => {
    this.verified.push(token);
    const claims = claimsOf(token);
    const key = this.keyOf(claims, isTrusted);
    if (key !== 'found') return { kind: 'unavailable', ...(key === 'unknown' ? { isKeyUnknown: true } : {}) };
    if (!token.endsWith('.c2ln')) return { kind: 'invalid', reason: 'signature' };
    return claims.exp * 1000 > this.now + this.skew
      ? { kind: 'valid', claims, mac: MAC }
      : { kind: 'expired' };
  };

  verifyByMac = (token: string, mac: string | undefined): TokenVerification | undefined => {
    if (mac !== MAC) return undefined;
    const claims = claimsOf(token);
    return claims.exp * 1000 > this.now + this.skew ? { kind: 'valid', claims } : { kind: 'expired' };
  };

  /** Responds with new tokens. Repeats its response to an earlier refresh with the same parameters. */
  private rotate(refreshToken: string, organizationId: string | undefined): Answer {
    const user = this.users.get(refreshToken);
    if (!user) throw new Error('WorkOS has not issued this refresh token');
    const key = `${refreshToken} ${organizationId ?? ''}`;
    const answer = this.answers.get(key) ?? {
      kind: 'ok',
      value: this.issue(user.id, user.sid, organizationId),
    };
    this.answers.set(key, answer);
    return answer;
  }

  private issue(userId: string, sid: string, organizationId: string | undefined): Tokens {
    this.issued += 1;
    const refreshToken = `rt_${this.issued}`;
    this.users.set(refreshToken, { id: userId, sid });
    const iat = this.now / 1000;
    const claims = {
      iss: 'workos',
      sub: userId,
      sid,
      iat,
      exp: iat + LIFETIME / 1000,
      jti: `jti_${this.issued}`,
      org_id: organizationId,
    };
    return { accessToken: tokenOf(claims), refreshToken, user: { id: userId } } as Tokens;
  }
}

export function tokenOf(claims: object, signature = 'c2ln'): string {
  return `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.${signature}`;
}

export function claimsOf(accessToken: string): Claims {
  return JSON.parse(Buffer.from(accessToken.split('.')[1]!, 'base64url').toString()) as Claims;
}

/** A response of WorkOS without tokens. */
export const refused = (error: AuthKitError): Answer => ({ kind: 'refused', error });
export const down: Answer = { kind: 'unavailable', error: unavailable('WorkOS is unavailable') };

export interface ProcessOptions {
  store?: Store;
  mode?: 'cookie' | 'store';
  memoryBytes?: number;
  softTimeout?: number;
}

/** Starts a process of an application. Processes with the same `store` share sessions. */
export function startProcess(workos: UnsignedWorkOS, options: ProcessOptions = {}) {
  const { store, mode = store ? 'store' : 'cookie', memoryBytes = 1_048_576, softTimeout = 10_000 } = options;
  const clientId = 'client_1';
  const now = () => workos.now + workos.skew;
  const signed = store && createSignedStore({ store, clientId, passwords: PASSWORDS, timeout: 10_000 });
  const seal = (session: Session) => sealSession(session, PASSWORDS[0]);
  const open = (sealed: string) => openSession(sealed, PASSWORDS, now());
  const refreshTokens = createTokenRefresh({
    refresh: workos.refresh,
    verify: workos.verify,
    seal,
    onRefreshed: () => undefined,
    onFailed: () => undefined,
  });
  const refresh = createRefresh({ clientId, now, refreshTokens });
  const revocation = createRevocation({ clientId, store: signed, now });
  const storage = createSessionStorage({
    mode,
    store: signed,
    passwords: PASSWORDS,
    open,
    openStored: open,
    seal,
    problemOf: (sealed) => problemOfSealed(sealed, PASSWORDS, now()),
    lifetime: 86_400_000,
  });
  const { verify, verifyByMac } = workos;
  const authenticator = createAuthenticator({
    clientId,
    storage,
    verify,
    verifyByMac,
    refresh,
    revocation,
    memoryBytes,
    now,
    softTimeout,
  });
  return {
    ...authenticator,
    revocation,
    storage,
    /** Returns the value of a new cookie for a session. */
    cookieOf: async (session: Session) => (await storage.create(session))!,
    /** Authenticates a request, like one whose response can still set a cookie. */
    ask: async (...values: string[]) => authenticator.authenticate(values, () => true),
    /** Authenticates a request whose response can no longer set a cookie, such as that of a WebSocket. */
    askWithoutCookies: async (...values: string[]) => authenticator.authenticate(values, () => false),
  };
}

/** Returns a session as a process seals it that has verified its access token: with the MAC of the token. */
export const withMac = (session: Session): Session =>
  toSession(session, { ...session.extension, tokenMac: MAC });
