import type { AuthKitConfig } from '../config/index.js';
import type { SignUpAttributes } from '../config/authkit-options.js';
import { type Deadline, withDeadline } from '../deadline.js';
import { ownProperties } from '../plain-objects.js';
import { AuthKitError } from '../errors.js';
import { log } from '../diagnostics.js';
import { single } from '../http/request.js';
import type { Tokens, WorkOSClient } from '../workos/api-client.js';
import { isJson } from './sign-in-transaction.js';

type SignUpRules = AuthKitConfig['signUp'];

const NAME = /^[\p{L}\p{N}\p{S} ,.'-]{1,32}$/u;

/** Matches a language tag, which consists of a language and optional subtags (RFC 5646 section 2.1). */
const LOCALE = /^[a-z]{2,3}(?:-[a-z\d]{2,8}){0,3}$/i;

/** The number of metadata keys that WorkOS allows for a user. */
const MAX_KEYS = 50;

/** The longest metadata key that WorkOS allows, in characters. */
const MAX_KEY_LENGTH = 40;

/** The longest metadata value that WorkOS allows, in characters. */
const MAX_VALUE_LENGTH = 600;

const PARAMETERS = [
  'displayName',
  'locale',
  'metadata',
  'role',
] as const satisfies (keyof SignUpAttributes)[];

/**
 * Reads sign-up attributes from a query.
 *
 * @param allowed The names of the attributes to read. All other attributes are ignored.
 * @returns The attributes, which have not been validated yet.
 * @throws {AuthKitError} `invalid_request` if a parameter is repeated, or if `metadata` is not valid JSON. The message
 * does not contain the value.
 */
export function parseAttributes(params: URLSearchParams, allowed: ReadonlySet<string>): SignUpAttributes {
  const found: Record<string, unknown> = {};
  for (const name of PARAMETERS) {
    const value = allowed.has(name) ? single(params, name, snakeCase(name)) : undefined;
    if (value !== undefined) found[name] = name === 'metadata' ? parseMetadata(value) : value;
  }
  return found;
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function parseMetadata(json: string): unknown {
  try {
    return JSON.parse(json) as unknown;
  } catch {
    throw malformed('metadata');
  }
}

/**
 * Validates sign-up attributes.
 *
 * @returns The attributes, or `undefined` if no attribute is set.
 * @throws {AuthKitError} `invalid_request` if an attribute is unknown or has an invalid value.
 */
export function checkAttributes(
  attributes: SignUpAttributes,
  { roles }: SignUpRules,
): SignUpAttributes | undefined {
  const isValid: Readonly<Record<keyof SignUpAttributes, (value: unknown) => boolean>> = {
    displayName: (value) => typeof value === 'string' && NAME.test(value),
    locale: (value) => typeof value === 'string' && LOCALE.test(value),
    metadata: isMetadata,
    role: (value) => roles.includes(value as string),
  };
  const given = Object.entries(attributes).filter(([, value]) => value !== undefined);
  for (const [name, value] of given) {
    if (!Object.hasOwn(isValid, name) || !isValid[name as keyof SignUpAttributes](value))
      throw malformed(name);
  }
  return given.length === 0 ? undefined : attributes;
}

/** Describes the valid values of each attribute, for error messages. */
const FORMS: Readonly<Record<keyof SignUpAttributes, string>> = {
  displayName: "1 to 32 letters, digits, symbols, spaces, or any of , . ' and -",
  locale: 'a language tag, such as "de-CH"',
  metadata: `a JSON object of up to ${MAX_KEYS} keys of up to ${MAX_KEY_LENGTH} characters, with values of up to ${MAX_VALUE_LENGTH} characters`,
  role: 'one of the roles in the option signUp.roles',
};

function malformed(name: string): AuthKitError {
  const problem = Object.hasOwn(FORMS, name)
    ? `${name} must be ${FORMS[name as keyof SignUpAttributes]}`
    : `attributes must only contain ${PARAMETERS.join(', ')}`;
  return new AuthKitError('invalid_request', problem);
}

function isMetadata(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || !isJson(value)) return false;
  const entries = Object.entries(toStrings(value as Record<string, unknown>));
  return (
    entries.length <= MAX_KEYS &&
    entries.every(
      ([key, text]) => key !== '' && key.length <= MAX_KEY_LENGTH && text.length <= MAX_VALUE_LENGTH,
    )
  );
}

/** Converts metadata to strings, because WorkOS stores only strings. Values of any other type are converted to JSON. */
function toStrings(metadata: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(metadata)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => [key, typeof value === 'string' ? value : JSON.stringify(value)]),
  );
}

/** The attributes of a sign-in, and where they come from. */
export interface AttributesToSave {
  readonly attributes: SignUpAttributes;
  /** Whether the attributes come from the application's code, or from a link, which anyone can create. */
  readonly from: 'app' | 'link' | undefined;
  /** When the sign-in began, in milliseconds since the epoch, according to WorkOS's clock. */
  readonly startedAt: number;
}

/**
 * Saves the attributes of a first sign-in at WorkOS. If saving fails, the failure is logged, and the user is signed in
 * anyway. In this case, `onSuccess` has received the attributes, but WorkOS does not store them. If saving takes longer
 * than the deadline allows, it continues after the response has been sent.
 *
 * @returns The tokens of the sign-in, or new tokens that contain the saved role.
 */
export type SaveAttributes = (tokens: Tokens, saved: AttributesToSave, deadline: Deadline) => Promise<Tokens>;

/**
 * The fraction of `timeout` that is reserved for the signing keys and the store, which are used after the attributes
 * have been saved.
 */
const RESERVED_PART = 1 / 2;

export function createSaveAttributes(
  { signUp, timeout }: AuthKitConfig,
  workos: WorkOSClient,
): SaveAttributes {
  if (!signUp.save) return (tokens) => Promise.resolve(tokens);
  return async (tokens, { attributes: given, from, startedAt }, deadline) => {
    const left = () => Math.max(0, deadline.left() - timeout * RESERVED_PART);
    const attributes = ownProperties(given);
    const metadata = metadataToSave(attributes.metadata, from, signUp);
    const toSave = ownProperties({ ...attributes, metadata });
    const user = await withDeadline(left(), saveUser(tokens, toSave, workos));
    const isRoleSaved = await withDeadline(
      left(),
      saveRole(tokens, attributes.role, startedAt, signUp, workos),
    );
    if (user === undefined || isRoleSaved === undefined)
      log('sign-in', { unsaved: 'attributes', late: true });
    // The role is a claim of the access token, so only new tokens contain it. A refresh invalidates the old refresh
    // token, so the sign-in must wait for the new tokens. If there is not enough time to wait, the session gets the
    // role when it is next refreshed.
    const refreshed =
      isRoleSaved && left() >= timeout
        ? await workos.refresh(tokens.refreshToken, tokens.organizationId)
        : undefined;
    return {
      ...tokens,
      ...(refreshed?.kind === 'ok' ? tokensOf(refreshed.value) : {}),
      user: user ?? tokens.user,
    };
  };
}

function tokensOf({ accessToken, refreshToken }: Tokens) {
  return { accessToken, refreshToken };
}

/**
 * Selects the metadata to save. Anyone can create a link, so only the keys that `signUp.metadata` lists are accepted
 * from a link.
 */
function metadataToSave(
  metadata: SignUpAttributes['metadata'],
  from: AttributesToSave['from'],
  { metadata: keys }: SignUpRules,
): Readonly<Record<string, unknown>> {
  const entries = Object.entries(metadata ?? {});
  return Object.fromEntries(from === 'app' ? entries : entries.filter(([key]) => keys.includes(key)));
}

async function saveUser(
  { user }: Tokens,
  { displayName, locale, metadata = {} }: SignUpAttributes,
  workos: WorkOSClient,
): Promise<Tokens['user']> {
  const changes = {
    ...(displayName === undefined ? {} : { name: displayName }),
    ...(locale === undefined ? {} : { locale }),
    ...(Object.keys(metadata).length === 0 ? {} : { metadata: toStrings(metadata) }),
  };
  if (Object.keys(changes).length === 0) return user;
  const saved = await workos.call(({ userManagement }) =>
    userManagement.updateUser(ownProperties({ userId: user.id, ...changes })),
  );
  if (saved.kind !== 'ok') log('sign-in', { unsaved: 'attributes', code: saved.error.code });
  return saved.kind === 'ok' && saved.value.id === user.id ? saved.value : user;
}

/** The slug of the role that WorkOS assigns to a new membership if no administrator has chosen a role. */
const DEFAULT_ROLE = 'member';

/**
 * Assigns a role to the organization membership that this sign-in created. Does not change a membership that already
 * existed, is managed by a directory, or has a role other than `member` or `signUp.defaultRole`, because an
 * administrator may have set it up.
 *
 * @returns Whether the role was saved.
 */
async function saveRole(
  { user, organizationId }: Tokens,
  role: string | undefined,
  startedAt: number,
  { defaultRole }: SignUpRules,
  workos: WorkOSClient,
): Promise<boolean> {
  if (role === undefined || organizationId === undefined) return false;
  const saved = await workos.call(async ({ userManagement }) => {
    const { data } = await userManagement.listOrganizationMemberships(
      ownProperties({ userId: user.id, organizationId }),
    );
    const [membership] = data;
    if (!membership) return undefined;
    const { id, createdAt, directoryManaged, role: current } = membership;
    const isNew = Date.parse(createdAt) > startedAt;
    if (!isNew || directoryManaged || ![DEFAULT_ROLE, defaultRole].includes(current.slug)) return 'kept';
    return userManagement.updateOrganizationMembership(id, ownProperties({ roleSlug: role }));
  });
  if (saved.kind !== 'ok') log('sign-in', { unsaved: 'role', code: saved.error.code });
  if (saved.kind === 'ok' && saved.value === 'kept')
    log('sign-in', { unsaved: 'role', reason: 'role given' });
  return saved.kind === 'ok' && saved.value !== undefined && saved.value !== 'kept';
}
