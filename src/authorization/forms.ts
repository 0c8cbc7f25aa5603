import type { Parameter } from './parameters.js';
import { providerNamed } from './providers.js';

/** Forms that the parameters of both authorization endpoints have. */
const ID = /^[\w-]{1,128}$/;
const ONE_LINE = /^[^\u0000-\u001f\u007f]{1,320}$/;
const SCOPE = /^[\u0021\u0023-\u005b\u005d-\u007e]{1,256}$/;
const PARAMETER_NAME = /^[\w.-]{1,64}$/;
const MAX_ITEMS = 50;

const matching = (pattern: RegExp) => (value: unknown) => typeof value === 'string' && pattern.test(value);

export function textParameter(wire: string, pattern: RegExp, names: readonly string[] = []): Parameter {
  return { wire, names, parse: (value) => value, valid: matching(pattern) };
}

export function codeOnly({ wire, valid }: Parameter): Parameter {
  return { wire, valid };
}

export const idParameter = (wire: string, ...names: string[]) => textParameter(wire, ID, names);
export const loginHint = textParameter('login_hint', ONE_LINE);
export const domainHint = textParameter('domain_hint', /^[A-Za-z0-9.-]{1,253}$/);

/** By WorkOS's name or the short one; sent in WorkOS's. */
export const provider: Parameter = {
  wire: 'provider',
  parse: providerNamed,
  valid: (value) => typeof value === 'string' && providerNamed(value) !== undefined,
  write: (value) => [['provider', providerNamed(value as string) ?? '']],
};

export const providerScopes: Parameter = {
  wire: 'provider_scopes',
  parse: (value) => value.split(/[ ,]/),
  valid: (value) =>
    Array.isArray(value) && value.length > 0 && value.length <= MAX_ITEMS && value.every(matching(SCOPE)),
};

/** For code alone: they go to the provider as they are. Sent as WorkOS's SDK sends them, `provider_query_params[hd]`. */
export const providerQueryParams: Parameter = {
  wire: 'provider_query_params',
  valid: (value) =>
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.entries(value).length <= MAX_ITEMS &&
    Object.entries(value).every(([name, item]) => PARAMETER_NAME.test(name) && isScalar(item)),
  write: (value) =>
    Object.entries(value as object).map(([name, item]) => [`provider_query_params[${name}]`, String(item)]),
};

function isScalar(value: unknown): boolean {
  return (
    typeof value === 'boolean' || Number.isFinite(value) || matching(/^[^\u0000-\u001f\u007f]{0,512}$/)(value)
  );
}
