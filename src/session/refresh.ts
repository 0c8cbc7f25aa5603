import { expiringMap } from '../expiring-map.js';
import { sha256 } from '../sha256.js';
import type { Session } from './sealed-session.js';
import {
  isSessionEnded,
  type RefreshedSession,
  type RefreshResult,
  type RefreshTokens,
  REMEMBERED_FOR,
  rememberedFor,
} from './refresh-at-workos.js';

export interface RefreshOptions {
  /** Part of each key, so that two instances cannot get each other's results. */
  clientId: string;
  renew: RefreshTokens;
  /** Milliseconds since the epoch. */
  now: () => number;
  /** Memory limit for results, in bytes. */
  maxBytes?: number;
}

export interface Refresh {
  /** Exchanges a refresh token for new tokens, exactly once in this process. */
  run: RefreshTokens;
  /** The newest session that has replaced this one, as far as this process knows. */
  successorOf: (session: Session) => RefreshedSession | undefined;
  /** Whether a newer session has replaced this one. If so, its cookie must no longer be set. */
  isReplaced: (session: Session) => boolean;
  /** Marks a session and its refreshed successors as replaced by the session of a new sign-in. */
  replace: (session: Session) => void;
  /** Whether to refresh a session before its token expires: false for ten seconds after a failed attempt. */
  canRefreshAhead: (session: Session) => boolean;
  /**
   * Called if a refresh before expiry takes too long. The refresh continues, and the next requests do not wait for it.
   */
  backOff: (session: Session) => void;
}

/**
 * After a refresh ahead of expiry fails, the old token is used for this long until the next attempt, in milliseconds.
 */
const BACKOFF = 10_000;

const MAX_RECORDS = 10_000;

/** 32 MiB: some 6000 results. */
const MAX_RECORD_BYTES = 33_554_432;

/** Size of a record whose attempt has no result yet, in bytes. */
const EMPTY_RECORD_BYTES = 512;

/** How many refusals, one for each organization, are remembered for one refresh token. */
const MAX_REFUSALS = 32;

/** Expired records hold whole sessions, so they are removed after this many new records. */
const PURGE_EVERY = 256;

/**
 * How long a replaced session is remembered, in milliseconds, so that a slow response such as a long poll does not set
 * it.
 */
const REPLACED_FOR = 3_600_000;

const MAX_REPLACED = 50_000;

/** How many successors are followed. WorkOS issues each refresh token once, so a longer chain is a mistake. */
const MAX_SUCCESSORS = 100;

interface Attempt {
  /** The requested organization; empty for none. */
  readonly organization: string;
  readonly result: Promise<RefreshResult>;
}

/** What happened to one refresh token. */
interface RefreshRecord {
  /** The exchange that is under way, or that has spent the token. */
  attempt: Attempt | undefined;
  successor: RefreshedSession | undefined;
  /** Refusals because an organization requires another step. The token can still be used. */
  readonly refusals: Map<string, RefreshResult>;
  /** When a refresh ahead of expiry failed, by the system clock and by the monotonic clock. */
  failedAt: { readonly time: number; readonly monotonic: number } | undefined;
}

/**
 * Refreshes each session exactly once in a process. WorkOS rotates refresh tokens, so using one twice signs users out
 * (RFC 9700 section 4.14). For this reason, concurrent requests share an exchange, later requests with the old cookie
 * get its result, and a refused token is not sent again. A request for a different organization exchanges the
 * successor's token.
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
      result: renew(session, organizationId).then((result) => {
        records.settle(session, record, organization, result);
        return result;
      }),
    });
    const result = await attempt.result;
    if (result.kind === 'refreshed')
      return result.organization === organization ? result : run(result.session, organizationId);
    // A refusal or a failure for another organization says nothing about this one.
    const isFinal = attempt.organization === organization || isSessionEnded(result);
    return isFinal ? result : run(session, organizationId);
  };

  const successorOf = (session: Session) => {
    let newest: RefreshedSession | undefined;
    for (let step = 0; step < MAX_SUCCESSORS; step += 1) {
      const next = records.find(newest?.session ?? session)?.successor;
      if (!next || next === newest) break;
      newest = next;
    }
    return newest;
  };
  return {
    run,
    successorOf,
    isReplaced: records.isReplaced,
    replace(session) {
      records.markReplaced(successorOf(session)?.session ?? session);
    },
    canRefreshAhead(session) {
      const failedAt = records.find(session)?.failedAt;
      // Either clock is enough, because the system clock may be set back.
      return (
        !failedAt || now() - failedAt.time >= BACKOFF || performance.now() - failedAt.monotonic >= BACKOFF
      );
    },
    backOff(session) {
      records.of(session).failedAt = failure(now());
    },
  };
}

function failure(time: number): RefreshRecord['failedAt'] {
  return { time, monotonic: performance.now() };
}

/** What happened to recent refresh tokens. The keys are hashes, so they reveal no token. */
function createRefreshRecords({ clientId, now, maxBytes = MAX_RECORD_BYTES }: RefreshOptions) {
  const records = expiringMap<RefreshRecord>({
    max: MAX_RECORDS,
    ttl: REMEMBERED_FOR,
    now,
    size: { max: maxBytes, of: sizeOf },
  });
  const replaced = expiringMap<true>({ max: MAX_REPLACED, ttl: REPLACED_FOR, now });
  let added = 0;
  const keyOf = ({ refreshToken }: Session) => sha256(`${clientId}\0${refreshToken}`);
  return {
    find: (session: Session) => records.get(keyOf(session)),
    of(session: Session): RefreshRecord {
      const key = keyOf(session);
      const known = records.get(key);
      if (known) return known;
      const record: RefreshRecord = {
        attempt: undefined,
        successor: undefined,
        refusals: new Map(),
        failedAt: undefined,
      };
      records.set(key, record);
      if ((added += 1) % PURGE_EVERY === 0) records.purgeStale();
      return record;
    },
    /** Records the result of an attempt. */
    settle(session: Session, record: RefreshRecord, organization: string, result: RefreshResult): void {
      record.failedAt = result.kind === 'unavailable' ? failure(now()) : undefined;
      if (result.kind === 'refreshed' || isSessionEnded(result)) {
        const key = keyOf(session);
        if (result.kind === 'refreshed' && result.session.refreshToken !== session.refreshToken) {
          record.successor = result;
          replaced.set(key, true);
        }
        // Deleted first, because the map does not measure an entry again while its value is the same object.
        records.delete(key);
        records.set(key, record, { ttl: rememberedFor(result, now()) });
        return;
      }
      record.attempt = undefined;
      if (result.kind === 'refused') addRefusal(record.refusals, organization, result);
    },
    isReplaced: (session: Session) => replaced.has(keyOf(session)),
    markReplaced(session: Session): void {
      replaced.set(keyOf(session), true);
    },
  };
}

/** Size in bytes, based on measurements: the seal, and the session in it as an object. */
function sizeOf({ successor }: RefreshRecord): number {
  if (!successor) return EMPTY_RECORD_BYTES;
  const { session, sealed } = successor;
  return EMPTY_RECORD_BYTES + sealed.length * 2 + session.accessToken.length;
}

function addRefusal(refusals: RefreshRecord['refusals'], organization: string, result: RefreshResult): void {
  const [oldest] = refusals.keys();
  if (oldest !== undefined && refusals.size >= MAX_REFUSALS) refusals.delete(oldest);
  refusals.set(organization, result);
}
