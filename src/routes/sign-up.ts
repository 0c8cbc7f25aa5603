import type { AuthKitConfig } from '../config/index.js';
import type { SignUpAttributes } from '../config/options.js';
import { AuthKitError } from '../errors.js';
import { log } from '../events.js';
import { single } from '../http/request.js';
import type { Tokens, WorkOSClient } from '../workos/client.js';
import { isJson } from './transaction.js';

type SignUpRules = AuthKitConfig['signUp'];

const NAME = /^[\p{L}\p{N}\p{S} ,.'-]{1,32}$/u;

/** A language and what narrows it down (RFC 5646 section 2.1). */
const LOCALE = /^[a-z]{2,3}(?:-[a-z\d]{2,8}){0,3}$/i;

/** What WorkOS keeps of a user's metadata. */
const MAX_KEYS = 50;

const MAX_KEY = 40;

const MAX_VALUE = 600;

const PARAMETERS = [
  'displayName',
  'locale',
  'metadata',
  'role',
] as const satisfies (keyof SignUpAttributes)[];

/**
 * Reads the attributes of a sign-up out of a query.
 *
 * @param taken Names that the query may carry; others are ignored.
 * @throws {AuthKitError} `invalid_request`; nothing of the query is in the message.
 */
export function parseAttributes(params: URLSearchParams, taken: ReadonlySet<string>): SignUpAttributes {
  const found: Record<string, unknown> = {};
  for (const name of PARAMETERS) {
    const value = taken.has(name) ? single(params, name, snake(name)) : undefined;
    if (value !== undefined) found[name] = name === 'metadata' ? parsed(value) : value;
  }
  return found;
}

function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json) as unknown;
  } catch {
    throw malformed('metadata');
  }
}

/**
 * Attributes in the form that can be kept, or `undefined` if there are none.
 *
 * @throws {AuthKitError} `invalid_request`
 */
export function checkedAttributes(
  attributes: SignUpAttributes,
  { roles }: SignUpRules,
): SignUpAttributes | undefined {
  const valid: Readonly<Record<keyof SignUpAttributes, (value: unknown) => boolean>> = {
    displayName: (value) => typeof value === 'string' && NAME.test(value),
    locale: (value) => typeof value === 'string' && LOCALE.test(value),
    metadata: isMetadata,
    role: (value) => roles.includes(value as string),
  };
  const given = Object.entries(attributes).filter(([, value]) => value !== undefined);
  for (const [name, value] of given) {
    if (!Object.hasOwn(valid, name) || !valid[name as keyof SignUpAttributes](value)) throw malformed(name);
  }
  return given.length === 0 ? undefined : attributes;
}

function malformed(name: string): AuthKitError {
  const known = (PARAMETERS as readonly string[]).includes(name) ? name : 'attributes';
  return new AuthKitError('invalid_request', `${known} is malformed`);
}

function isMetadata(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || !isJson(value)) return false;
  const entries = Object.entries(onTheWire(value as Record<string, unknown>));
  return (
    entries.length <= MAX_KEYS &&
    entries.every(([key, text]) => key !== '' && key.length <= MAX_KEY && text.length <= MAX_VALUE)
  );
}

/** WorkOS keeps strings; anything else is kept as JSON. */
export function onTheWire(metadata: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(metadata)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => [key, typeof value === 'string' ? value : JSON.stringify(value)]),
  );
}

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
