import { LRUCache } from 'lru-cache';
import { createHash } from 'node:crypto';
import type { Claims } from '../workos/access-token.js';
import type { Session } from './sealed-session.js';
import {
  isSessionEnded,
  type RefreshResult,
  type RefreshTokens,
  REMEMBERED,
  rememberedFor,
} from './token-refresh.js';

export interface RefreshOptions {
  /** Part of the key, so that two instances with one store of results stay apart. */
  clientId: string;
  renew: RefreshTokens;
  now: () => number;
}

export interface Refresh {
  /** New tokens for a session, exactly once for a refresh token. */
  run: RefreshTokens;
  /** Whether a refresh ahead of expiry may be tried: not again right after one that failed. */
  canRefreshAhead: (session: Session) => boolean;
  /** A refresh ahead took too long to wait for: it goes on, but the next requests do not wait for it too. */
  backOff: (session: Session) => void;
}

/** After a refresh ahead of expiry failed, the old token serves this long before the next try. */
const BACKOFF = 10_000;

const MAX_TOKENS = 10_000;

/** So many new ones have what is over dropped: it holds whole sessions. */
const PURGED_EVERY = 256;

/** Refresh ahead of expiry by this much at most, in seconds, and by a fifth of a token's life at most. */
const AHEAD = 60;

interface Attempt {
  /** The one that was asked for; empty for none. */
  readonly organization: string;
  readonly result: Promise<RefreshResult>;
}

/** What became of one refresh token. */
interface RefreshRecord {
  /** What is under way, or has spent the token. */
  attempt: Attempt | undefined;
  /** Organizations that want one more step; the token is as good as before. */
  readonly refusals: Map<string, RefreshResult>;
  failedAt: number;
}

/** What became of the refresh tokens of late, by a hash, so that the memory holds no token as a key. */
function createRefreshRecords({ clientId, now }: RefreshOptions) {
  const records = new LRUCache<string, RefreshRecord>({
    max: MAX_TOKENS,
    ttl: REMEMBERED,
    ttlResolution: 0,
    perf: { now },
  });
  let added = 0;
  const keyOf = ({ refreshToken }: Session) =>
    createHash('sha256').update(`${clientId}\0${refreshToken}`).digest('base64url');
  return {
    of(session: Session): RefreshRecord {
      const known = records.get(keyOf(session));
      if (known) return known;
      const record: RefreshRecord = {
        attempt: undefined,
        refusals: new Map(),
        failedAt: -Infinity,
      };
      records.set(keyOf(session), record);
      if ((added += 1) % PURGED_EVERY === 0) records.purgeStale();
      return record;
    },
    /** Notes what an attempt came to. */
    settle(
      session: Session,
      record: RefreshRecord,
      organization: string,
      result: RefreshResult,
    ): RefreshResult {
      if (result.kind === 'refreshed' || isSessionEnded(result)) {
        records.set(keyOf(session), record, { ttl: rememberedFor(result, now()) });
      } else {
        record.attempt = undefined;
        if (result.kind === 'refused') record.refusals.set(organization, result);
      }
      record.failedAt = result.kind === 'unavailable' ? now() : -Infinity;
      return result;
    },
  };
}

/**
 * Makes exactly-once refresh for one process. WorkOS rotates refresh tokens, so a second use of one signs people out
 * (RFC 9700 section 4.14): concurrent requests share an exchange, stragglers with the old cookie get its result, and
 * a refused token is not sent again. Who wants another organization exchanges the successor.
 */
export function createRefresh(options: RefreshOptions): Refresh {
  const { now, renew } = options;
  const records = createRefreshRecords(options);

  const run: RefreshTokens = async (session, organizationId) => {
    const record = records.of(session);
    const organization = organizationId ?? '';
    const refusal = record.refusals.get(organization);
    if (refusal) return refusal;
    const attempt = (record.attempt ??= {
      organization,
      result: renew(session, organizationId).then((value) =>
        records.settle(session, record, organization, value),
      ),
    });
    const result = await attempt.result;
    if (result.kind === 'refreshed')
      return result.organization === organization ? result : run(result.session, organizationId);
    // What came to nothing for another organization has left the token as it was.
    const isFinal = attempt.organization === organization || isSessionEnded(result);
    return isFinal ? result : run(session, organizationId);
  };
  return {
    run,
    canRefreshAhead: (session) => now() - records.of(session).failedAt >= BACKOFF,
    backOff(session) {
      records.of(session).failedAt = now();
    },
  };
}

/** When a token is due for a refresh, in milliseconds since the epoch. */
export function refreshDueAt({ exp, iat }: Claims): number {
  const life = typeof iat === 'number' && iat < exp ? exp - iat : AHEAD * 5;
  return (exp - Math.min(AHEAD, life / 5)) * 1000;
}
