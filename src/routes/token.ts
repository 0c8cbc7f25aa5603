import { OBJECT_ID } from '../config/authorization-parameters.js';
import { type AuthKitConfig, requestTimeoutOf } from '../config/index.js';
import { Deadline, withDeadline } from '../deadline.js';
import { AuthKitError, isUnfinished, unavailable } from '../errors.js';
import { expiringMap } from '../expiring-map.js';
import { readFields } from '../http/body.js';
import type { Handler, Request, Response } from '../http/handler-to-middleware.js';
import { header } from '../http/request.js';
import { json, vary } from '../http/response.js';
import { isRecord, ownProperties } from '../plain-objects.js';
import type { Authenticator } from '../session/authenticate-session.js';
import {
  CLOCK_SKEW,
  openPayload,
  type PayloadBinding,
  type PayloadPurpose,
  sealPayload,
} from '../session/purpose-bound-seal.js';
import type { Revocation } from '../session/revocation.js';
import { type Session, sessionIdentityOf } from '../session/sealed-session.js';
import { sha256 } from '../sha256.js';
import { decodeUnverified } from '../workos/access-token.js';
import type { ExchangeCode } from './code-exchange.js';
import { codeChallenge } from './pkce.js';
import { refreshWithin } from './refresh-session.js';
import { isSame, type Transaction } from './sign-in-transaction.js';

export interface TokenDependencies {
  config: AuthKitConfig;
  authenticator: Pick<Authenticator, 'refresh'>;
  exchangeCode: ExchangeCode;
  revocation: Pick<Revocation, 'reopenSession'>;
}

type Fields = ReadonlyMap<string, string>;

/** Matches a PKCE verifier (RFC 7636 section 4.1). */
const VERIFIER = /^[\w.~-]{43,128}$/;

const MAX_CODES = 10_000;

/** The maximum size of the request body, in bytes. Forms that contain a sealed session are smaller than this. */
const MAX_BODY = 32_768;

/**
 * Creates the handler of `POST /token`, the token endpoint for native and single-page clients. A client gets tokens in
 * exchange for a code and its verifier (RFC 6749 section 4.1.3, RFC 7636 section 4.5), and new tokens in exchange for a
 * refresh token (RFC 6749 section 6). The endpoint does not use cookies.
 */
export function createToken(dependencies: TokenDependencies): Handler {
  const { config } = dependencies;
  const redeemCode = createRedeemCode(dependencies);
  return async (req, res) => {
    allowOrigin(req, res, config);
    const fields = await readFields(req, { maxBytes: MAX_BODY, timeout: config.timeout });
    if (!fields)
      throw new AuthKitError('invalid_request', 'the body must be a form or a JSON object of strings');
    const session = await grantSession(fields, req, res, redeemCode, dependencies);
    return session === 'answered' ? 'sent' : json(res, 200, await tokenResponse(session, config));
  };
}

type RedeemCode = (fields: Fields, req: Request, res: Response) => Promise<Session | 'answered'>;

function grantSession(
  fields: Fields,
  req: Request,
  res: Response,
  redeemCode: RedeemCode,
  dependencies: TokenDependencies,
): Promise<Session | 'answered'> {
  const type = fields.get('grant_type');
  if (type === 'authorization_code') return redeemCode(fields, req, res);
  if (type === 'refresh_token') return refreshClientSession(fields, dependencies);
  throw new AuthKitError('unsupported_grant_type', 'grant_type must be authorization_code or refresh_token');
}

/**
 * Creates the function that redeems codes. A code is spent on its first use, even if that use fails. Each process
 * remembers which codes it has marked as spent. If a code is redeemed again in a different process, WorkOS refuses to
 * exchange the WorkOS code that is sealed in it.
 */
function createRedeemCode({ config, exchangeCode, revocation }: TokenDependencies): RedeemCode {
  const { now } = config;
  // A code from a process whose clock is ahead is valid for longer than its lifetime.
  const spent = expiringMap<true>({ max: MAX_CODES, ttl: CODE_LIFETIME + CLOCK_SKEW, now });
  return async (fields, req, res) => {
    const sealed = fields.get('code') ?? '';
    const key = sha256(sealed);
    const opened = spent.has(key) ? undefined : openClientCode(sealed, config);
    if (!opened) throw invalidGrant('the code is unknown, has been used, or has expired');
    spent.set(key, true);
    // The sign-in began with the client's challenge, so WorkOS requires the client's verifier.
    const codeVerifier = verifierOf(fields, opened);
    try {
      const deadline = new Deadline(requestTimeoutOf(config));
      const signedIn = await exchangeCode({ ...opened, codeVerifier, req, res, deadline });
      if (signedIn === 'answered') return signedIn;
      const { session, earlierEnd } = signedIn;
      // The user may have signed out of this application but not of WorkOS. In that case, the new session has the same
      // ID as the ended session, so the revocation of that ID must be undone.
      const reopened = revocation.reopenSession(sessionIdentityOf(session), earlierEnd);
      if (!(await withDeadline(deadline.left(), reopened)))
        throw unavailable('the store is unavailable, so the sign-in could not be finished: sign in again');
      return session;
    } catch (error) {
      if (error instanceof AuthKitError && error.code === 'code_exchange_failed')
        throw invalidGrant('WorkOS does not accept the code any more', error);
      throw error;
    }
  };
}

/**
 * Checks that the client that sent the code also began the sign-in (RFC 7636 section 4.6). Returns the client's code
 * verifier.
 */
function verifierOf(fields: Fields, { transaction }: ClientCode): string {
  const verifier = fields.get('code_verifier') ?? '';
  if (!VERIFIER.test(verifier) || !isSame(codeChallenge(verifier), transaction.clientChallenge ?? ''))
    throw invalidGrant('code_verifier does not match the code challenge of the sign-in');
  // If the client sends a redirect URI, it must be the URI that the code was sent to (RFC 6749 section 4.1.3).
  if ((fields.get('redirect_uri') ?? transaction.returnTo) !== transaction.returnTo)
    throw invalidGrant('redirect_uri is not the one that the code was sent to');
  return verifier;
}

async function refreshClientSession(
  fields: Fields,
  { config, authenticator }: TokenDependencies,
): Promise<Session> {
  const session = openClientSession(fields.get('refresh_token') ?? '', config);
  if (!session) throw invalidGrant('the refresh token is invalid or was not issued by this application');
  const organizationId = fields.get('organization_id');
  if (organizationId !== undefined && !OBJECT_ID.test(organizationId))
    throw new AuthKitError('invalid_request', 'organization_id must be the ID of an organization');
  const timeout = requestTimeoutOf(config);
  const { result, error } = await refreshWithin(timeout, session, organizationId, authenticator);
  if (error && (result?.kind !== 'ended' || isUnfinished(error.code))) throw error;
  if (result?.kind === 'authenticated') return result.session;
  throw invalidGrant('the session has ended');
}

/** Builds the token response (RFC 6749 section 5.1), with the user and the organization as additional fields. */
async function tokenResponse(session: Session, config: AuthKitConfig): Promise<object> {
  const { accessToken, user, organizationId } = session;
  const { exp } = decodeUnverified(accessToken);
  const expiresIn = typeof exp === 'number' ? Math.max(0, Math.floor(exp - config.now() / 1000)) : undefined;
  return {
    access_token: accessToken,
    token_type: 'Bearer',
    expires_in: expiresIn,
    refresh_token: await sealClientSession(session, config),
    user,
    organization_id: organizationId,
  };
}

/**
 * Sets the CORS headers for single-page clients on other origins. Credentials are not allowed, because the endpoint
 * does not use cookies.
 */
function allowOrigin(req: Request, res: Response, { login }: AuthKitConfig): void {
  const origin = header(req, 'origin');
  if (origin === undefined || origin === 'null') return;
  vary(res, 'Origin');
  if (login.clientRedirectUris.some((uri) => new URL(uri).origin === origin))
    res.setHeader('Access-Control-Allow-Origin', origin);
}

function invalidGrant(message: string, cause?: AuthKitError): AuthKitError {
  return new AuthKitError('invalid_grant', message, cause ? { cause } : {});
}

/**
 * The lifetime of a client's code, in milliseconds. RFC 6749 section 4.1.2 recommends a short lifetime, and clients
 * redeem their codes immediately.
 */
const CODE_LIFETIME = 60_000;

const CLIENT_CODE: PayloadPurpose = {
  name: 'client-code',
  isBoundToRedirectUri: true,
  lifetime: CODE_LIFETIME,
};

/**
 * The data that is sealed in a client's code. It includes a WorkOS code, which is exchanged when the client redeems its
 * own code.
 */
export interface ClientCode {
  readonly code: string;
  readonly transaction: Transaction;
}

/**
 * Returns the redirect URI of a client, with a code or an error in its query (RFC 6749 section 4.1.2).
 *
 * The client's code is a sealed WorkOS code and contains no tokens. WorkOS accepts each of its codes only once, so the
 * client's code also works only once, whichever process redeems it.
 */
export async function clientUrl(
  codeOrError: string | AuthKitError,
  transaction: Transaction,
  binding: PayloadBinding,
): Promise<string> {
  const url = new URL(transaction.returnTo);
  if (typeof codeOrError === 'string') {
    const code = await sealPayload(CLIENT_CODE, binding, { code: codeOrError, transaction });
    url.searchParams.set('code', code);
  } else {
    url.searchParams.set('error', codeOrError.code);
  }
  if (typeof transaction.state === 'string') url.searchParams.set('state', transaction.state);
  return url.href;
}

/** Opens a code that this instance issued less than a minute ago. Returns `undefined` for any other value. */
function openClientCode(sealed: string, binding: PayloadBinding): ClientCode | undefined {
  const payload = openPayload(CLIENT_CODE, binding, sealed);
  if (typeof payload?.['code'] !== 'string' || !isRecord(payload['transaction'])) return undefined;
  return {
    code: payload['code'],
    transaction: ownProperties(payload['transaction']) as unknown as Transaction,
  };
}

/**
 * How the refresh tokens of native and single-page clients are sealed. A refresh token contains the client's session.
 * Session cookies are not accepted as refresh tokens, and refresh tokens are not accepted as session cookies.
 */
const CLIENT_SESSION: PayloadPurpose = { name: 'client-session', isBoundToRedirectUri: false };

function sealClientSession(session: Session, binding: PayloadBinding): Promise<string> {
  return sealPayload(CLIENT_SESSION, binding, { session });
}

function openClientSession(sealed: string, binding: PayloadBinding): Session | undefined {
  const session = openPayload(CLIENT_SESSION, binding, sealed)?.['session'] as Session | undefined;
  return session && ownProperties({ ...session, extension: ownProperties(session.extension) });
}
