import type { AuthKitConfig } from './config/index.js';
import { log } from './log.js';
import type { SignUpAttributes } from './options.js';
import { onTheWire } from './sign-up.js';
import type { Tokens, WorkOSClient } from './workos.js';

/**
 * Writes what somebody said of themselves to WorkOS. What cannot be written now is lost, with a line in the log: the
 * person is signed in either way, and `onSuccess` has had it.
 *
 * @returns The tokens of the sign-in, newer ones if they say more by now.
 */
export type SaveAttributes = (tokens: Tokens, attributes: SignUpAttributes) => Promise<Tokens>;

export function createSaveAttributes({ signUp }: AuthKitConfig, workos: WorkOSClient): SaveAttributes {
  if (!signUp.save) return (tokens) => Promise.resolve(tokens);
  return async (tokens, attributes) => {
    const user = await saveUser(tokens, attributes, workos);
    const isGranted = await saveRole(tokens, attributes, workos);
    // The role is a claim: the first page would not know it yet.
    const renewed = isGranted ? await workos.refresh(tokens.refreshToken, tokens.organizationId) : undefined;
    return { ...tokens, ...(renewed?.kind === 'ok' ? tokensOf(renewed.value) : {}), user };
  };
}

function tokensOf({ accessToken, refreshToken }: Tokens) {
  return { accessToken, refreshToken };
}

async function saveUser(
  { user }: Tokens,
  { displayName, locale, metadata }: SignUpAttributes,
  workos: WorkOSClient,
): Promise<Tokens['user']> {
  const changes = {
    ...(displayName === undefined ? {} : { name: displayName }),
    ...(locale === undefined ? {} : { locale }),
    ...(metadata === undefined ? {} : { metadata: onTheWire(metadata) }),
  };
  if (Object.keys(changes).length === 0) return user;
  const saved = await workos.call(({ userManagement }) =>
    userManagement.updateUser({ userId: user.id, ...changes }),
  );
  if (saved.kind !== 'ok') log('sign-in', { unsaved: 'attributes', code: saved.error.code });
  return saved.kind === 'ok' && saved.value.id === user.id ? saved.value : user;
}

/** A role is held in an organization; without one there is nowhere to write it. */
async function saveRole(
  { user, organizationId }: Tokens,
  { role }: SignUpAttributes,
  workos: WorkOSClient,
): Promise<boolean> {
  if (role === undefined || organizationId === undefined) return false;
  const saved = await workos.call(async ({ userManagement }) => {
    const { data } = await userManagement.listOrganizationMemberships({ userId: user.id, organizationId });
    const [membership] = data;
    if (!membership) return undefined;
    return userManagement.updateOrganizationMembership(membership.id, { roleSlug: role });
  });
  if (saved.kind !== 'ok') log('sign-in', { unsaved: 'role', code: saved.error.code });
  return saved.kind === 'ok' && saved.value !== undefined;
}
