import type { SSOProfile } from '../../src/session/sealed-sso-session.js';
import { ADA } from './app.js';

/** When the SSO sessions of unit tests begin, in seconds since the epoch. */
export const SECOND = 1_700_000_000;

/** A profile of the SSO API, with the fields that a session keeps. */
export const PROFILE = {
  id: 'prof_1',
  idpId: 'idp_1',
  email: ADA,
  organizationId: 'org_1',
  connectionId: 'conn_1',
} as unknown as SSOProfile;
