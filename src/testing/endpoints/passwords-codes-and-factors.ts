import type {
  AuthChallenge,
  AuthFactor,
  AuthFactors,
  OneTimeCode,
  OneTimeCodes,
  PasswordReset,
  Passwords,
} from '../state/passwords-codes-and-factors.js';
import type { Directory } from '../state/users-and-organizations.js';
import {
  apiError,
  empty,
  json,
  listPage,
  notFound,
  text,
  unprocessable,
  type Fields,
  type Route,
} from './request-and-response.js';
import type { Invitations } from './invitations.js';
import { userJson } from './resource-json.js';
import { isStrongPassword, weakPassword } from './users.js';

export interface CredentialsDependencies {
  directory: Directory;
  passwords: Passwords;
  oneTimeCodes: OneTimeCodes;
  factors: AuthFactors;
  invitations: Invitations;
  url: string;
}

/** Creates the routes for magic auth, email verification, password resets and authentication factors. */
export function credentialRoutes(dependencies: CredentialsDependencies): Route[] {
  return [
    ...magicAuthRoutes(dependencies),
    ...emailVerificationRoutes(dependencies),
    ...passwordResetRoutes(dependencies),
    ...factorRoutes(dependencies),
  ];
}

/** @see https://workos.com/docs/reference/authkit/magic-auth */
function magicAuthRoutes({ directory, oneTimeCodes, invitations }: CredentialsDependencies): Route[] {
  return [
    {
      on: 'POST /user_management/magic_auth',
      operation: 'credentials',
      handle: ({ body = {} }) => {
        const [email, invitation] = [text(body['email']), text(body['invitation_token'])];
        if (email?.includes('@') !== true) return unprocessable('email', 'email must be an email');
        const problem = invitation === undefined ? undefined : invitations.problem(invitation, email);
        if (problem)
          return json(400, { error: 'invitation_invalid', error_description: problem.description });
        // As in WorkOS, a user is created if the email address is unknown.
        const { user } = directory.findUser(email) ?? directory.createUser({ email });
        return json(201, codeJson(oneTimeCodes.send('magic_auth', user)));
      },
    },
    {
      on: 'GET /user_management/magic_auth/:id',
      operation: 'credentials',
      handle: (_, { id = '' }) => {
        const found = oneTimeCodes.find('magic_auth', id);
        return found ? json(200, codeJson(found)) : notFound('Magic Auth', id);
      },
    },
  ];
}

function codeJson({ id, purpose, userId, email, code, createdAt, expiresAt }: OneTimeCode): Fields {
  const at = new Date(createdAt).toISOString();
  return {
    object: purpose,
    id,
    user_id: userId,
    email,
    expires_at: new Date(expiresAt).toISOString(),
    code,
    created_at: at,
    updated_at: at,
  };
}

/** @see https://workos.com/docs/reference/authkit/email-verification */
function emailVerificationRoutes({ directory, oneTimeCodes }: CredentialsDependencies): Route[] {
  const errors = {
    used: 'email_verification_code_previously_used',
    expired: 'email_verification_code_expired',
    invalid: 'email_verification_code_incorrect',
  } as const;
  return [
    {
      on: 'GET /user_management/email_verification/:id',
      operation: 'credentials',
      handle: (_, { id = '' }) => {
        const found = oneTimeCodes.find('email_verification', id);
        return found ? json(200, codeJson(found)) : notFound('Email Verification', id);
      },
    },
    {
      on: 'POST /user_management/users/:id/email_verification/send',
      operation: 'credentials',
      handle: (_, { id = '' }) => {
        const user = directory.getUser(id)?.user;
        if (!user) return notFound('User', id);
        if (user.emailVerified)
          return apiError(400, 'The email of this user is verified already.', 'email_already_verified');
        oneTimeCodes.send('email_verification', user);
        return json(200, { user: userJson(user) });
      },
    },
    {
      on: 'POST /user_management/users/:id/email_verification/confirm',
      operation: 'credentials',
      handle: ({ body }, { id = '' }) => {
        const user = directory.getUser(id)?.user;
        if (!user) return notFound('User', id);
        const checked = oneTimeCodes.use('email_verification', id, text(body?.['code']));
        if (checked !== 'ok')
          return apiError(400, `The email verification code is ${checked}.`, errors[checked]);
        return json(200, { user: userJson(directory.updateUser(id, { emailVerified: true }).user) });
      },
    },
  ];
}

/** @see https://workos.com/docs/reference/authkit/password-reset */
function passwordResetRoutes({ directory, passwords, url }: CredentialsDependencies): Route[] {
  const toJson = ({ id, userId, email, token, createdAt, expiresAt }: PasswordReset): Fields => ({
    object: 'password_reset',
    id,
    user_id: userId,
    email,
    password_reset_token: token,
    password_reset_url: `${url}/reset-password?token=${token}`,
    expires_at: new Date(expiresAt).toISOString(),
    created_at: new Date(createdAt).toISOString(),
  });
  return [
    {
      on: 'POST /user_management/password_reset',
      operation: 'credentials',
      handle: ({ body }) => {
        const email = text(body?.['email']) ?? '';
        const user = directory.findUser(email)?.user;
        return user ? json(201, toJson(passwords.createReset(user))) : notFound('User', email);
      },
    },
    {
      on: 'GET /user_management/password_reset/:id',
      operation: 'credentials',
      handle: (_, { id = '' }) => {
        const reset = passwords.findReset(id);
        return reset ? json(200, toJson(reset)) : notFound('Password Reset', id);
      },
    },
    {
      on: 'POST /user_management/password_reset/confirm',
      operation: 'credentials',
      handle: ({ body }) => {
        const [token, password] = [text(body?.['token']) ?? '', text(body?.['new_password']) ?? ''];
        if (!isStrongPassword(password)) return weakPassword();
        const user = directory.getUser(passwords.useReset(token) ?? '')?.user;
        if (!user) return notFound('Password Reset', token);
        passwords.set(user.id, password);
        return json(200, { user: userJson(user) });
      },
    },
  ];
}

/** @see https://workos.com/docs/reference/authkit/mfa */
function factorRoutes({ directory, factors }: CredentialsDependencies): Route[] {
  const operation = 'credentials';
  return [
    {
      on: 'POST /user_management/users/:id/auth_factors',
      operation,
      handle: ({ body = {} }, { id = '' }) => {
        const user = directory.getUser(id)?.user;
        if (!user) return notFound('User', id);
        if (body['type'] !== 'totp') return unprocessable('type', 'type must be totp');
        const secret = text(body['totp_secret']);
        const factor = factors.enroll({
          userId: id,
          issuer: text(body['totp_issuer']) ?? 'Test WorkOS',
          account: text(body['totp_user']) ?? user.email,
          ...(secret === undefined ? {} : { secret }),
        });
        return json(201, {
          authentication_factor: { ...factorJson(factor), totp: totpWithSecret(factor) },
          authentication_challenge: challengeJson(factors.challenge(factor.id)),
        });
      },
    },
    {
      on: 'GET /user_management/users/:id/auth_factors',
      operation,
      handle: ({ query }, { id = '' }) =>
        directory.getUser(id) ? listPage(query, factors.of(id), factorJson) : notFound('User', id),
    },
    {
      on: 'GET /auth/factors/:id',
      operation,
      handle: (_, { id = '' }) => {
        const factor = factors.find(id);
        return factor ? json(200, factorJson(factor)) : notFound('Authentication Factor', id);
      },
    },
    {
      on: 'DELETE /auth/factors/:id',
      operation,
      handle: (_, { id = '' }) => {
        if (!factors.find(id)) return notFound('Authentication Factor', id);
        factors.remove(id);
        return empty(204);
      },
    },
    {
      on: 'POST /auth/factors/:id/challenge',
      operation,
      handle: (_, { id = '' }) =>
        factors.find(id)
          ? json(201, challengeJson(factors.challenge(id)))
          : notFound('Authentication Factor', id),
    },
    {
      on: 'POST /auth/challenges/:id/verify',
      operation,
      handle: ({ body }, { id = '' }) => {
        const challenge = factors.findChallenge(id);
        if (!challenge) return notFound('Authentication Challenge', id);
        const checked = factors.verify(challenge, text(body?.['code']));
        if (checked === 'used')
          return apiError(
            422,
            'The challenge was verified already.',
            'authentication_challenge_previously_verified',
          );
        if (checked === 'expired')
          return apiError(422, 'The challenge has expired.', 'authentication_challenge_expired');
        return json(201, { challenge: challengeJson(challenge), valid: checked === 'ok' });
      },
    },
  ];
}

function factorJson({ id, userId, issuer, account, createdAt }: AuthFactor): Fields {
  const at = new Date(createdAt).toISOString();
  return {
    object: 'authentication_factor',
    id,
    type: 'totp',
    user_id: userId,
    totp: { issuer, user: account },
    created_at: at,
    updated_at: at,
  };
}

/** A single-pixel image in place of a QR code. Tests can read the secret from the other fields of the response. */
const QR_CODE =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8/5+hHgAHggJ/PchI7wAAAABJRU5ErkJggg==';

function totpWithSecret({ issuer, account, secret }: AuthFactor): Fields {
  const label = `${encodeURIComponent(issuer)}:${encodeURIComponent(account)}`;
  const uri = `otpauth://totp/${label}?secret=${secret}&issuer=${encodeURIComponent(issuer)}`;
  return { issuer, user: account, secret, qr_code: QR_CODE, uri };
}

function challengeJson({ id, factorId, createdAt, expiresAt }: AuthChallenge): Fields {
  const at = new Date(createdAt).toISOString();
  return {
    object: 'authentication_challenge',
    id,
    authentication_factor_id: factorId,
    expires_at: new Date(expiresAt).toISOString(),
    created_at: at,
    updated_at: at,
  };
}
