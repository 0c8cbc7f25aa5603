import { expect, test } from 'vitest';
import { AuthKitError } from 'authkit-express';
import { ERROR_CODES, isUnfinished, unavailable } from '../src/errors.js';
import { ERROR_TEXTS } from '../src/http/page-texts.js';

const STATUS = {
  config_invalid: 500,
  not_mounted: 500,
  unauthenticated: 401,
  step_up_required: 401,
  forbidden: 403,
  unknown_user: 403,
  invalid_request: 400,
  invalid_provider: 400,
  invalid_state: 400,
  access_denied: 403,
  authorization_failed: 400,
  code_exchange_failed: 400,
  organization_selection_required: 403,
  email_verification_required: 403,
  mfa_enrollment: 403,
  mfa_challenge: 403,
  sso_required: 403,
  sign_in_rejected: 403,
  cookie_too_large: 500,
  session_lost: 400,
  upstream_unavailable: 503,
} as const;

test.each(Object.entries(STATUS))('%s has status %i', (code, status) => {
  const error = new AuthKitError(code as keyof typeof STATUS, 'what went wrong');
  expect(error).toBeInstanceOf(Error);
  expect(error).toMatchObject({
    name: 'AuthKitError',
    code,
    status,
    message: 'what went wrong',
    retryable: status === 503,
  });
  expect(error.headers).toEqual(status === 401 ? { 'WWW-Authenticate': 'Bearer' } : {});
  expect(error.docs).toContain(`#${code}`);
  expect('cause' in error).toBe(false);
});

test.each(ERROR_CODES)('%s has a title and a text for users, in whole sentences', (code) => {
  const { title, text } = ERROR_TEXTS[code];
  expect(title).toMatch(/^[A-Z][^.]+[^.\s]$/);
  expect(text).toMatch(/^[A-Z].+[.?]$/);
  expect(text).not.toMatch(/ {2}|[.?][A-Z]/);
  const error = new AuthKitError(code, 'for developers');
  expect(error.publicMessage).toBe(text);
  expect(error.statusCode).toBe(error.status);
  expect([400, 401, 403, 500, 503]).toContain(error.status);
  expect(error.docs).toBe(`https://authkit-express.github.io/authkit-express/troubleshooting#${code}`);
  expect(new AuthKitError(code, 'x', { publicMessage: 'Ask Ada.' }).publicMessage).toBe('Ask Ada.');
});

test('an error has frozen headers and a cause, and values that may be secret are not enumerable', () => {
  const cause = new Error('why');
  const error = new AuthKitError('unauthenticated', 'x', {
    cause,
    headers: { 'X-Y': 'z' },
    details: { token: 't' },
    description: 'd',
  });
  expect(error.headers).toEqual({ 'WWW-Authenticate': 'Bearer', 'X-Y': 'z' });
  expect(Object.isFrozen(error.headers)).toBe(true);
  expect(error.cause).toBe(cause);
  expect({ details: error.details, description: error.description }).toEqual({
    details: { token: 't' },
    description: 'd',
  });
  expect(Object.keys(error)).not.toContain('details');
  expect(Object.keys(error)).not.toContain('description');
});

test.each([
  [undefined, '5'],
  [0, '1'],
  [-7, '1'],
  [0.2, '1'],
  [1.5, '2'],
  [60, '60'],
  [61, '60'],
  [86_400, '60'],
])('a wait of %s seconds is sent as Retry-After %s', (retryAfter, expected) => {
  const error = unavailable('down', retryAfter === undefined ? {} : { retryAfter });
  expect(error).toMatchObject({
    code: 'upstream_unavailable',
    message: 'down',
    headers: { 'Retry-After': expected },
  });
  expect('cause' in error).toBe(false);
  const cause = new Error('why');
  expect(unavailable('down', { cause }).cause).toBe(cause);
});

test('authentication errors that need another step are told apart from others', () => {
  for (const code of [
    'organization_selection_required',
    'email_verification_required',
    'mfa_enrollment',
    'mfa_challenge',
    'sso_required',
  ])
    expect(isUnfinished(code)).toBe(true);
  for (const code of ['forbidden', '', undefined, null, 1]) expect(isUnfinished(code)).toBe(false);
});

test.each<[unknown, string]>([
  ['nope', '"nope"'],
  ['toString', '"toString"'],
  ['__proto__', '"__proto__"'],
  ['', '""'],
  [undefined, 'undefined'],
  [403, 'number'],
  [['forbidden'], 'object'],
  ['x'.repeat(65), `"${'x'.repeat(64)}"`],
  [Symbol('forbidden'), 'symbol'],
])('a code that does not exist (%o) is a TypeError that says where the codes are listed', (code, shown) => {
  expect(() => new AuthKitError(code as 'forbidden', 'x')).toThrow(
    new TypeError(
      `AuthKitError has no code ${shown}: its codes are listed at ` +
        'https://authkit-express.github.io/authkit-express/troubleshooting. For an error of your own, use another ' +
        'class, with a status property',
    ),
  );
});
