import type { Config } from './config/index.js';
import { isRecord } from './config/problems.js';
import { open, seal } from './seal.js';
import type { Session } from './session.js';

const PURPOSE = 'client-session';

/** What binds a client's session to one client of WorkOS. */
type Instance = Pick<Config, 'clientId' | 'cookiePasswords' | 'now'>;

/** A session in the hands of a native or single-page client: its refresh token. No cookie is one, nor the reverse. */
export function sealClientSession(
  session: Session,
  { clientId, cookiePasswords }: Instance,
): Promise<string> {
  // By way of JSON: iron takes plain data only.
  const plain = JSON.parse(JSON.stringify({ purpose: PURPOSE, clientId, session })) as object;
  return seal(plain, cookiePasswords[0]);
}

export function openClientSession(
  sealed: string,
  { clientId, cookiePasswords, now }: Instance,
): Session | undefined {
  const payload = open(sealed, cookiePasswords, now());
  if (!isRecord(payload) || payload['purpose'] !== PURPOSE || payload['clientId'] !== clientId)
    return undefined;
  return payload['session'] as Session;
}
