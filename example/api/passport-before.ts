// The same API with passport, jose and the SDK of WorkOS, for comparison.
import { WorkOS } from '@workos-inc/node';
import express, { type Request, type RequestHandler } from 'express';
import { createRemoteJWKSet, errors, jwtVerify } from 'jose';
import passport, { Strategy } from 'passport';
import { orders } from './orders.js';

declare global {
  // eslint-disable-next-line @typescript-eslint/no-namespace -- how passport is told the type of a user
  namespace Express {
    interface User {
      email: string;
      organizationId: string | undefined;
      role: string | undefined;
    }
  }
}

const { WORKOS_API_KEY = '', WORKOS_CLIENT_ID: clientId = '' } = process.env;
const { WORKOS_API_HOSTNAME: apiHostname, WORKOS_API_HTTPS: https, WORKOS_API_PORT: port } = process.env;
const { CLIENT_REDIRECT_URI = 'com.example.app:/signed-in' } = process.env;
const { userManagement } = new WorkOS(WORKOS_API_KEY, {
  clientId,
  ...(apiHostname ? { apiHostname, https: https !== 'false', port: Number(port) } : {}),
});

const getKey = createRemoteJWKSet(new URL(userManagement.getJwksUrl(clientId)));
const users = new Map<string, { email: string; until: number }>();

/** Access tokens contain no email address, so the user is fetched and kept for five minutes. */
async function emailOf(userId: string): Promise<string> {
  const known = users.get(userId);
  if (known && known.until > Date.now()) return known.email;
  const { email } = await userManagement.getUser(userId);
  users.set(userId, { email, until: Date.now() + 300_000 });
  return email;
}

class AccessToken extends Strategy {
  override authenticate(req: Request): void {
    const token = /^Bearer (\S+)$/i.exec(req.get('authorization') ?? '')?.[1];
    if (token === undefined) {
      this.fail('Bearer', 401);
      return;
    }
    this.verify(token).catch((error: unknown) => {
      if (error instanceof errors.JOSEError && !(error instanceof errors.JWKSTimeout))
        this.fail('Bearer error="invalid_token"', 401);
      else this.error(error);
    });
  }

  private async verify(token: string): Promise<void> {
    const { payload } = await jwtVerify(token, getKey, { algorithms: ['RS256'] });
    this.success({
      email: await emailOf(payload.sub ?? ''),
      organizationId: payload['org_id'] as string | undefined,
      role: payload['role'] as string | undefined,
    } as Express.User);
  }
}

const hasRole =
  (role: string): RequestHandler =>
  (req, res, next) => {
    if (req.user?.role === role) next();
    else res.status(403).json({ error: 'forbidden' });
  };

const app = express();

app.get('/login', (req, res) => {
  const { codeChallenge, redirectTo, state } = req.query as Record<string, string>;
  if (redirectTo !== CLIENT_REDIRECT_URI || !/^[\w-]{43}$/.test(codeChallenge ?? '')) {
    res.status(400).json({ error: 'invalid_request' });
    return;
  }
  const url = userManagement.getAuthorizationUrl({
    provider: 'authkit',
    clientId,
    redirectUri: redirectTo,
    codeChallenge: codeChallenge ?? '',
    codeChallengeMethod: 'S256',
    ...(state === undefined ? {} : { state }),
  });
  res.redirect(url);
});

app.post('/token', express.urlencoded(), async (req, res) => {
  const { grant_type, code, code_verifier, refresh_token } = req.body as Record<string, string>;
  res.set('Cache-Control', 'no-store');
  try {
    let granted;
    if (grant_type === 'authorization_code' && code && code_verifier) {
      granted = await userManagement.authenticateWithCode({ clientId, code, codeVerifier: code_verifier });
    } else if (grant_type === 'refresh_token' && refresh_token) {
      granted = await userManagement.authenticateWithRefreshToken({ clientId, refreshToken: refresh_token });
    } else {
      res.status(400).json({ error: grant_type ? 'invalid_request' : 'unsupported_grant_type' });
      return;
    }
    const { accessToken, refreshToken, user } = granted;
    res.json({ access_token: accessToken, token_type: 'Bearer', refresh_token: refreshToken, user });
  } catch (error) {
    const { status = 503 } = error as { status?: number };
    if (status < 500 && status !== 429) res.status(400).json({ error: 'invalid_grant' });
    else res.status(503).json({ error: 'temporarily_unavailable' });
  }
});

passport.use('access-token', new AccessToken());
const api = express.Router();
app.use('/api', passport.authenticate('access-token', { session: false }) as RequestHandler, api);

api.get('/me', (req, res) => {
  res.json({ ...req.user });
});

api.get('/orders', (_req, res) => {
  res.json([...orders]);
});

api.delete('/orders/:id', hasRole('admin'), (req, res) => {
  res.sendStatus(orders.delete(req.params['id'] as string) ? 204 : 404);
});

export const server = app.listen(process.env['PORT'] ?? 3000);
