import type { AuthKitConfig } from '../config/index.js';
import { AuthKitError, isUnfinished } from '../errors.js';
import { expiringMap } from '../expiring-map.js';
import { readFields } from '../http/body.js';
import type { RespondWithError } from '../http/error-response.js';
import type { Handler, Request, Response } from '../http/middleware.js';
import { header } from '../http/request.js';
import { json, vary } from '../http/response.js';
import type { Authenticator } from '../session/authenticate.js';
import {
  openPayload,
  type PayloadBinding,
  type PayloadPurpose,
  sealPayload,
} from '../session/sealed-payload.js';
import type { Session } from '../session/sealed-session.js';
import { sha256 } from '../sha256.js';
import { decodeUnverified } from '../workos/access-token.js';
import type { ExchangeCode } from './code-exchange.js';
import { codeChallenge, isSame, type Transaction } from './transaction.js';

export interface TokenDependencies {
  config: AuthKitConfig;
  authenticator: Authenticator;
  exchange: ExchangeCode;
  answer: RespondWithError;
}

type Fields = ReadonlyMap<string, string>;

/** RFC 7636 section 4.1. */
const VERIFIER = /^[\w.~-]{43,128}$/;

const ORGANIZATION = /^[\w-]{1,128}$/;

const MAX_CODES = 10_000;

/** More than a sealed session, in bytes. */
const MAX_BODY = 32_768;

/**
 * `POST /token`: tokens for a native or single-page client, for a code and its verifier (RFC 6749 section 4.1.3,
 * RFC 7636 section 4.5), and newer ones for a refresh token (RFC 6749 section 6). No cookie takes part.
 */
export function createToken(parts: TokenDependencies): Handler {
  const { config, answer } = parts;
  const redeem = createRedeem(parts);
  return async (req, res) => {
    allowOrigin(req, res, config);
    try {
      const fields = await readFields(req, { maxBytes: MAX_BODY, timeout: config.timeout });
      if (!fields)
        throw new AuthKitError('invalid_request', 'the body must be a form or a JSON object of strings');
      const session = await grant(fields, req, res, redeem, parts);
      return session === 'answered' ? 'sent' : json(res, 200, await tokensOf(session, config));
    } catch (error) {
      if (!(error instanceof AuthKitError)) throw error;
      return answer(error, req, res, { error_description: error.message });
    }
  };
}

type Redeem = (fields: Fields, req: Request, res: Response) => Promise<Session | 'answered'>;

function grant(
  fields: Fields,
  req: Request,
  res: Response,
  redeem: Redeem,
  parts: TokenDependencies,
): Promise<Session | 'answered'> {
  const type = fields.get('grant_type');
  if (type === 'authorization_code') return redeem(fields, req, res);
  if (type === 'refresh_token') return renew(fields, parts);
  throw new AuthKitError('unsupported_grant_type', 'grant_type must be authorization_code or refresh_token');
}

/** A code is spent by its first use, whatever comes of it: here in this process, and at WorkOS everywhere. */
function createRedeem({ config, exchange }: TokenDependencies): Redeem {
  const { now } = config;
  const spent = expiringMap<true>({ max: MAX_CODES, ttl: CODE_LIFETIME, now });
  return async (fields, req, res) => {
    const sealed = fields.get('code') ?? '';
    const key = sha256(sealed);
    const opened = spent.has(key) ? undefined : openClientCode(sealed, config);
    if (!opened) throw invalidGrant('the code is unknown, spent or too old');
    spent.set(key, true);
    prove(fields, opened);
    try {
      // WorkOS has the client's own challenge, so that only the client's verifier redeems the code there as well.
      const codeVerifier = fields.get('code_verifier') ?? '';
      const done = await exchange({ ...opened, codeVerifier, req, res });
      return done === 'answered' ? done : done.session;
    } catch (error) {
      if (error instanceof AuthKitError && error.code === 'code_exchange_failed')
        throw invalidGrant('WorkOS does not take the code any more', error);
      throw error;
    }
  };
}

function prove(fields: Fields, { transaction }: ClientCode): void {
  const verifier = fields.get('code_verifier') ?? '';
  if (!VERIFIER.test(verifier) || !isSame(codeChallenge(verifier), transaction.clientChallenge ?? ''))
    throw invalidGrant('the code verifier does not fit');
  // RFC 6749 section 4.1.3: where the client names it, it must be the one that the code was sent to.
  if ((fields.get('redirect_uri') ?? transaction.returnTo) !== transaction.returnTo)
    throw invalidGrant('the redirect URI is not that of the code');
}

async function renew(fields: Fields, { config, authenticator }: TokenDependencies): Promise<Session> {
  const session = openClientSession(fields.get('refresh_token') ?? '', config);
  if (!session) throw invalidGrant('the refresh token is none of these');
  const organizationId = fields.get('organization_id');
  if (organizationId !== undefined && !ORGANIZATION.test(organizationId))
    throw new AuthKitError('invalid_request', 'organization_id is malformed');
  const result = await authenticator.refresh(session, organizationId);
  if (result.kind === 'authenticated') return result.session;
  if (result.kind === 'unavailable' || (result.kind === 'ended' && isUnfinished(result.error.code)))
    throw result.error;
  throw invalidGrant('the session has ended');
}

/** RFC 6749 section 5.1, and who it is. */
async function tokensOf(session: Session, config: AuthKitConfig): Promise<object> {
  const { accessToken, user, organizationId } = session;
  const { exp } = decodeUnverified(accessToken);
  const expiresIn = typeof exp === 'number' ? Math.max(0, Math.floor(exp - config.now() / 1000)) : undefined;
  return {
    access_token: accessToken,
    token_type: 'Bearer',
    ...(expiresIn === undefined ? {} : { expires_in: expiresIn }),
    refresh_token: await sealClientSession(session, config),
    user,
    ...(organizationId === undefined ? {} : { organization_id: organizationId }),
  };
}

/** For single-page clients elsewhere; without credentials, since no cookie takes part. */
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

/** RFC 6749 section 4.1.2 has a code be short-lived; a client redeems it at once. In milliseconds. */
export const CODE_LIFETIME = 60_000;

const CLIENT_CODE: PayloadPurpose = {
  name: 'client-code',
  isBoundToRedirectUri: true,
  lifetime: CODE_LIFETIME,
};

/** What a client's code stands for: WorkOS's own code, which is exchanged when the client redeems its code. */
export interface ClientCode {
  readonly code: string;
  readonly transaction: Transaction;
}

/**
 * The URL at which the browser delivers a code to the client, or the error in its place (RFC 6749 section 4.1.2).
 *
 * The code is a seal around WorkOS's code, not around tokens: WorkOS takes its code once, whichever process redeems it,
 * and the URL contains nothing that is worth stealing.
 */
export async function clientUrl(
  reply: string | AuthKitError,
  transaction: Transaction,
  binding: PayloadBinding,
): Promise<string> {
  const url = new URL(transaction.returnTo);
  if (typeof reply === 'string')
    url.searchParams.set('code', await sealPayload(CLIENT_CODE, binding, { code: reply, transaction }));
  else url.searchParams.set('error', reply.code);
  if (typeof transaction.state === 'string') url.searchParams.set('state', transaction.state);
  return url.href;
}

/** Opens a code that this instance issued less than a minute ago; anything else is `undefined`. */
export function openClientCode(sealed: string, binding: PayloadBinding): ClientCode | undefined {
  return openPayload(CLIENT_CODE, binding, sealed) as ClientCode | undefined;
}

/**
 * The refresh token of a native or single-page client is its session, sealed. A session cookie is not accepted as one,
 * nor the reverse.
 */
const CLIENT_SESSION: PayloadPurpose = { name: 'client-session', isBoundToRedirectUri: false };

export function sealClientSession(session: Session, binding: PayloadBinding): Promise<string> {
  return sealPayload(CLIENT_SESSION, binding, { session });
}

export function openClientSession(sealed: string, binding: PayloadBinding): Session | undefined {
  return openPayload(CLIENT_SESSION, binding, sealed)?.['session'] as Session | undefined;
}
