import { expiringMap } from '../expiring-map.js';
import { sha256 } from '../sha256.js';
import type { Session } from './sealed-session.js';
import {
  isSessionEnded,
  isTokenSpent,
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
  /** Returns the current time, in milliseconds since the epoch. */
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
   * Called if a refresh before expiry takes too long. That refresh continues, and the next requests do not wait for it.
   */
  backOff: (session: Session) => void;
}

/**
 * How long the old token is used after a refresh ahead of expiry has failed, in milliseconds. The next attempt is made
 * after that time.
 */
const BACKOFF = 10_000;

const MAX_RECORDS = 10_000;

/** Memory limit for records, in bytes: 32 MiB, enough for about 6000 results. */
const MAX_RECORD_BYTES = 33_554_432;

/** Size of a record whose attempt has no result yet, in bytes. */
const EMPTY_RECORD_BYTES = 512;

/** How many refusals, one for each organization, are remembered for one refresh token. */
const MAX_REFUSALS = 32;

/** Expired records are removed after this many new ones, because each of them may hold a whole session. */
const PURGE_EVERY = 256;

/**
 * How long a replaced session is remembered, in milliseconds, so that a slow response such as a long poll does not set
 * its cookie again.
 */
const REPLACED_FOR = 3_600_000;

const MAX_REPLACED = 50_000;

/**
 * How many successors of a session are followed. WorkOS issues each refresh token only once, so a longer chain would be
 * a mistake.
 */
const MAX_SUCCESSORS = 100;

interface Attempt {
  /** The ID of the requested organization; empty if none was requested. */
  readonly organization: string;
  readonly result: Promise<RefreshResult>;
}

/** What happened to one refresh token. */
interface RefreshRecord {
  /** The exchange that is under way, or that has spent the token. */
  attempt: Attempt | undefined;
  successor: RefreshedSession | undefined;
  /** Refusals because an organization requires a further step, by organization ID. The token can still be used. */
  readonly refusals: Map<string, RefreshResult>;
  /** When a refresh ahead of expiry failed, by the system clock and by the monotonic clock. */
  failedAt: { readonly time: number; readonly monotonic: number } | undefined;
}

/**
 * Creates the refresh of an instance, which uses each refresh token only once in this process. WorkOS rotates refresh
 * tokens, so using one twice signs users out (RFC 9700 section 4.14). For this reason, concurrent requests share an
 * exchange, later requests with the old cookie get its result, and a refused token is not sent again. A request for a
 * different organization uses the refresh token of the session's successor.
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
    // A refusal or a failure for a different organization says nothing about this one.
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

/**
 * Creates the records of what happened to recent refresh tokens. Their keys are hashes, so they do not reveal the
 * tokens.
 */
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
      if (isTokenSpent(session, result)) {
        const key = keyOf(session);
        if (result.kind === 'refreshed') {
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

/**
 * The approximate size of a record in bytes, based on measurements. It counts the seal, and the session as an object.
 */
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
