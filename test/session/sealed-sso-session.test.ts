import { expect, test } from 'vitest';
import { type PayloadBinding, sealPayload } from '../../src/session/purpose-bound-seal.js';
import {
  newSSOSession,
  openSSOSession,
  sealSSOSession,
  toUser,
} from '../../src/session/sealed-sso-session.js';
import { ADA } from '../support/app.js';
import { PROFILE, SECOND } from '../support/sso-profile.js';

const BINDING: PayloadBinding = {
  clientId: 'client_1',
  redirectUri: 'https://app.example/sso/callback',
  cookiePasswords: ['a-password-for-tests-and-for-nothing-else'],
  now: () => SECOND * 1000,
};

test('a sealed SSO session is opened as it was, without the raw attributes of the profile', async () => {
  for (const data of [undefined, { plan: 'pro' }, null]) {
    const raw = { ...PROFILE, rawAttributes: { large: true } } as never;
    const session = newSSOSession(raw, data, SECOND * 1000 + 999, 3600);
    expect(session).toEqual({
      id: expect.stringMatching(/^sso_[0-9a-f-]{36}$/) as string,
      profile: PROFILE,
      signedInAt: SECOND,
      expiresAt: SECOND + 3600,
      ...(data === undefined ? {} : { data }),
    });
    expect('data' in session).toBe(data !== undefined);
    const opened = openSSOSession(await sealSSOSession(session, BINDING), BINDING);
    expect(opened).toStrictEqual(session);
    expect([session, opened!].map((one) => Object.getPrototypeOf(one) as unknown)).toEqual([null, null]);
    expect(openSSOSession(await sealSSOSession(session, BINDING), { ...BINDING, clientId: 'client_2' })).toBe(
      undefined,
    );
  }
});

test('a sealed SSO session that lacks a field is not opened', async () => {
  const purpose = { name: 'sso-session', isBoundToRedirectUri: false };
  const good = { id: 'sso_1', profile: PROFILE, signedInAt: SECOND, expiresAt: SECOND + 3600 };
  const open = async (data: object, name = purpose.name) =>
    openSSOSession(await sealPayload({ ...purpose, name }, BINDING, data), BINDING);
  expect(await open(good)).toEqual(good);
  // It is valid at each redirect URI of the client.
  const sealed = await sealPayload(purpose, BINDING, good);
  expect(openSSOSession(sealed, { ...BINDING, redirectUri: 'https://app.example/other' })).toEqual(good);
  expect(await open(good, 'session')).toBeUndefined();
  for (const wrong of [
    { id: 7 },
    { id: undefined },
    { profile: undefined },
    { profile: 'prof_1' },
    { profile: null },
    { profile: {} },
    { profile: { id: 7 } },
    { signedInAt: String(SECOND) },
    { signedInAt: undefined },
    { expiresAt: String(SECOND + 3600) },
    { expiresAt: undefined },
  ])
    expect(await open({ ...good, ...wrong }), JSON.stringify(wrong)).toBeUndefined();
});

test('a profile has the form of a user', () => {
  const signedIn = new Date(SECOND * 1000).toISOString();
  const common = {
    object: 'user',
    id: 'prof_1',
    email: ADA,
    emailVerified: false,
    profilePictureUrl: null,
    lastSignInAt: signedIn,
    locale: null,
    createdAt: signedIn,
    updatedAt: signedIn,
    externalId: 'idp_1',
    metadata: {},
  };
  expect(toUser(PROFILE, SECOND)).toEqual({ ...common, name: null, firstName: null, lastName: null });
  const names = { firstName: 'Ada', lastName: 'Lovelace', name: 'Ada Lovelace' };
  expect(toUser({ ...PROFILE, ...names }, SECOND)).toEqual({ ...common, ...names });
});
