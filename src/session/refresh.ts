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
  /** The client ID. It is part of each key, so two instances cannot get each other's results. */
  clientId: string;
  refreshTokens: RefreshTokens;
  /** Returns the current time, in milliseconds since the epoch. */
  now: () => number;
  /** Memory limit for refresh results, in bytes. */
  maxBytes?: number;
}

export interface Refresh {
  /**
   * Exchanges a session's refresh token for new tokens. If this process has already exchanged the refresh token,
   * returns the new tokens from that exchange.
   *
   * @param acceptOther Called if a different request has refreshed the session for another organization. Receives the
   * session before and after that refresh, and resolves to whether to return this result. If it resolves to false or is
   * not given, the refreshed session is refreshed again for the requested organization.
   */
  run: (
    session: Session,
    organizationId: string | undefined,
    acceptOther?: (before: Session, refreshed: RefreshedSession) => Promise<boolean>,
  ) => Promise<RefreshResult>;
  /** Returns the latest session that this session was refreshed to, if this process knows one. */
  successorOf: (session: Session) => RefreshedSession | undefined;
  /**
   * Whether this session was replaced, by its own refreshed version or by a new sign-in. If so, its cookie must no
   * longer be set.
   */
  isReplaced: (session: Session) => boolean;
  /** Marks a session and its refreshed successors as replaced by the session of a new sign-in. */
  markReplaced: (session: Session) => void;
  /**
   * Whether a session may be refreshed before its token expires. False for ten seconds after an attempt that failed or
   * took too long.
   */
  canRefreshAhead: (session: Session) => boolean;
  /**
   * Reports that a refresh takes too long while the current token is still valid. The refresh continues, but for the
   * next ten seconds, requests use the current token without waiting for the refresh.
   */
  backOff: (session: Session) => void;
}

/**
 * The time between a failed early refresh and the next attempt, in milliseconds. An early refresh is one that starts
 * before the current token expires. The current token is used until the next attempt.
 */
const BACKOFF = 10_000;

const MAX_RECORDS = 10_000;

/** The default memory limit for refresh records, in bytes: 32 MiB, which is enough for about 6000 results. */
const MAX_RECORD_BYTES = 33_554_432;

/** The approximate size of a record without a new session, in bytes. */
const EMPTY_RECORD_BYTES = 512;

/**
 * The maximum number of refusals that are remembered for one refresh token. Each of them is for a different
 * organization.
 */
const MAX_REFUSALS = 32;

/**
 * The number of new records after which expired records are removed. This keeps memory use low, because each record may
 * contain a whole session.
 */
const PURGE_EVERY = 256;

/**
 * How long a process remembers that a session was replaced, in milliseconds. During this time, a slow response, such as
 * a long poll, cannot set the cookie of the replaced session again.
 */
const REPLACED_FOR = 3_600_000;

const MAX_REPLACED = 50_000;

/**
 * The maximum number of refreshes that are followed from a session to its latest successor. The limit prevents an
 * endless loop in case WorkOS issues a refresh token a second time by mistake.
 */
const MAX_SUCCESSORS = 100;

interface Attempt {
  /** The ID of the requested organization; empty if none was requested. */
  readonly organization: string;
  readonly result: Promise<RefreshResult>;
}

/** What this process knows about one refresh token. */
interface RefreshRecord {
  /** The exchange that is in progress, or the completed exchange that has used up the refresh token. */
  attempt: Attempt | undefined;
  successor: RefreshedSession | undefined;
  /**
   * Refusals for organizations that require a further step, by organization ID. After such a refusal, the refresh token
   * can still be used.
   */
  readonly refusals: Map<string, RefreshResult>;
  /**
   * When the last refresh failed or took too long, in milliseconds by both the system clock and the monotonic clock.
   */
  failedAt: { readonly time: number; readonly monotonic: number } | undefined;
  /** Whether a new sign-in has replaced the session. If so, it also replaces all later versions of the session. */
  isReplaced: boolean;
}

/**
 * Creates the functions that refresh the sessions of an instance. WorkOS rotates refresh tokens, so using one twice
 * signs the user out (RFC 9700 section 4.14). Concurrent requests therefore share one exchange, and later requests with
 * the old cookie get the result of that exchange. A request for a different organization uses the refresh token of the
 * session's successor. A refresh token is sent again only if the previous exchange did not use it up, for example
 * because WorkOS was unavailable.
 */
export function createRefresh(options: RefreshOptions): Refresh {
  const { now, refreshTokens } = options;
  const records = createRefreshRecords(options);

  const run: Refresh['run'] = async (session, organizationId, acceptOther) => {
    const record = records.of(session);
    const organization = organizationId ?? '';
    const refusal = record.refusals.get(organization);
    if (refusal) return refusal;
    const attempt = (record.attempt ??= {
      organization,
      result: refreshTokens(session, organizationId).then((result) => {
        records.recordResult(session, record, organization, result);
        return result;
      }),
    });
    const result = await attempt.result;
    if (result.kind === 'refreshed') {
      if (result.organization === organization || (await acceptOther?.(session, result))) return result;
      return run(result.session, organizationId, acceptOther);
    }
    // A refusal or a failure for a different organization says nothing about the requested one.
    const isFinal = attempt.organization === organization || isSessionEnded(result);
    return isFinal ? result : run(session, organizationId, acceptOther);
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
    markReplaced(session) {
      records.markReplaced(successorOf(session)?.session ?? session);
    },
    canRefreshAhead(session) {
      const failedAt = records.find(session)?.failedAt;
      // It is enough if the time has passed on one of the two clocks, because the system clock may have been set back.
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
 * Creates the collection of records about recently used refresh tokens. The keys of the records are hashes, so they do
 * not reveal the tokens.
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
  const recordOf = (session: Session): RefreshRecord => {
    const key = keyOf(session);
    const known = records.get(key);
    if (known) return known;
    const record: RefreshRecord = {
      attempt: undefined,
      successor: undefined,
      refusals: new Map(),
      failedAt: undefined,
      isReplaced: false,
    };
    records.set(key, record);
    if ((added += 1) % PURGE_EVERY === 0) records.purgeStale();
    return record;
  };
  const markReplaced = (session: Session): void => {
    replaced.set(keyOf(session), true);
    recordOf(session).isReplaced = true;
  };
  return {
    find: (session: Session) => records.get(keyOf(session)),
    of: recordOf,
    /** Records the result of an attempt. */
    recordResult(session: Session, record: RefreshRecord, organization: string, result: RefreshResult): void {
      record.failedAt = result.kind === 'unavailable' ? failure(now()) : undefined;
      if (isTokenSpent(session, result)) {
        const key = keyOf(session);
        if (result.kind === 'refreshed') {
          record.successor = result;
          replaced.set(key, true);
          if (record.isReplaced) markReplaced(result.session);
        }
        // The record is deleted first, because the map does not recalculate an entry's size if the value is the same
        // object.
        records.delete(key);
        records.set(key, record, { ttl: rememberedFor(result, now()) });
        return;
      }
      record.attempt = undefined;
      if (result.kind === 'refused') addRefusal(record.refusals, organization, result);
    },
    isReplaced: (session: Session) => replaced.has(keyOf(session)),
    markReplaced,
  };
}

/**
 * Returns the approximate size of a record, in bytes. The formula is based on measurements and counts both the seal and
 * the session object.
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
