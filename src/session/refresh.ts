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
  /** Limit of the memory for results, in bytes. */
  maxBytes?: number;
}

export interface Refresh {
  /** Exchanges a refresh token for new tokens, exactly once in this process. */
  run: RefreshTokens;
  /** The newest session that this process knows to have replaced this one. */
  successorOf: (session: Session) => RefreshedSession | undefined;
  /** Whether a newer session has replaced this one, so that its cookie must not be set any more. */
  isReplaced: (session: Session) => boolean;
  /** Declares a session, and those that it was refreshed to, replaced by a session of another origin. */
  replace: (session: Session) => void;
  /** Whether to refresh a session before its token expires: not within ten seconds after an attempt that failed. */
  canRefreshAhead: (session: Session) => boolean;
  /** Called if a refresh before expiry took too long: it continues, and the next requests do not wait for it. */
  backOff: (session: Session) => void;
}

/** After a refresh before expiry failed, the old token is used this long before the next attempt, in milliseconds. */
const BACKOFF = 10_000;

const MAX_RECORDS = 10_000;

/** 32 MiB: some 6000 results. */
const MAX_RECORD_BYTES = 33_554_432;

/** Of the record of an attempt that has no result yet, in bytes. */
const EMPTY_RECORD_BYTES = 512;

/** Organizations whose refusals are remembered for one refresh token. */
const MAX_REFUSALS = 32;

/** After this many new records, expired ones are removed, because they hold whole sessions. */
const PURGE_EVERY = 256;

/** A slow response, such as a long poll, does not set a session that was replaced within this time, in milliseconds. */
const REPLACED_FOR = 3_600_000;

const MAX_REPLACED = 50_000;

/** Successors that are followed. WorkOS issues each refresh token once, so a longer chain is a mistake. */
const MAX_SUCCESSORS = 100;

interface Attempt {
  /** The organization that was asked for; empty for none. */
  readonly organization: string;
  readonly result: Promise<RefreshResult>;
}

/** What happened to one refresh token. */
interface RefreshRecord {
  /** The exchange that is under way, or that has spent the token. */
  attempt: Attempt | undefined;
  successor: RefreshedSession | undefined;
  /** Organizations that require another step. The token can still be used. */
  readonly refusals: Map<string, RefreshResult>;
  /** When a refresh ahead of expiry failed, by both clocks. */
  failedAt: { readonly time: number; readonly monotonic: number } | undefined;
}

/**
 * Makes refreshes that happen exactly once in a process. WorkOS rotates refresh tokens, so using one twice signs users
 * out (RFC 9700 section 4.14): concurrent requests share an exchange, later requests with the old cookie get its
 * result, and a refused token is not sent again. A request for another organization exchanges the successor.
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
      // Whichever clock says so: the one of the system may be set back.
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

/** What happened to the refresh tokens of the last minutes. The keys are hashes, so that they reveal no token. */
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
        // Deleted first: the size of an entry is not measured again while its value is the same object.
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

/** In bytes, measured: a seal, and the session that is in it, as objects. */
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
