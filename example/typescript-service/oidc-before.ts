// The same service with express-openid-connect and the SDK of WorkOS, for comparison. It uses any OpenID provider.
import { WorkOS } from '@workos-inc/node';
import express, { type NextFunction, type Request, type RequestHandler, type Response } from 'express';
import oidc from 'express-openid-connect';
import { findAccount, LIMITS, reportsOf, type Account } from './reports.js';

interface Reader {
  by: string | undefined;
  organizationId: string | undefined;
  permissions: readonly string[];
}
interface Locals {
  account: Account;
  reader: Reader;
}

const { BASE_URL = '', ISSUER_BASE_URL = '', CLIENT_ID = '', CLIENT_SECRET = '', SECRET = '' } = process.env;
const { WORKOS_API_KEY = '', WORKOS_API_HOSTNAME: apiHostname, WORKOS_API_HTTPS: https } = process.env;
const workos = new WorkOS(WORKOS_API_KEY, {
  ...(apiHostname
    ? { apiHostname, https: https !== 'false', port: Number(process.env['WORKOS_API_PORT']) }
    : {}),
});

const app = express();
app.use(
  oidc.auth({
    authRequired: false,
    baseURL: BASE_URL,
    issuerBaseURL: ISSUER_BASE_URL,
    clientID: CLIENT_ID,
    clientSecret: CLIENT_SECRET,
    secret: SECRET,
    authorizationParams: { response_type: 'code', scope: 'openid profile email' },
    idpLogout: true,
  }),
);

/** The claims of an ID token have no types. */
function claimsOf(req: Request): {
  sub?: string;
  email?: string;
  org_id?: string;
  permissions: readonly string[];
} {
  const claims: Record<string, unknown> = req.oidc.user ?? {};
  const { sub, email, org_id, permissions } = claims;
  return {
    ...(typeof sub === 'string' ? { sub } : {}),
    ...(typeof email === 'string' ? { email } : {}),
    ...(typeof org_id === 'string' ? { org_id } : {}),
    permissions: Array.isArray(permissions) ? (permissions as string[]) : [],
  };
}

async function loadAccount(req: Request, res: Response<unknown, Locals>, next: NextFunction): Promise<void> {
  const { sub } = claimsOf(req);
  const account = sub === undefined ? null : await findAccount(sub);
  if (!account) {
    res.status(403).json({ error: 'unknown_user' });
    return;
  }
  res.locals.account = account;
  next();
}

async function readerOf(req: Request): Promise<Reader | null> {
  const value = /^Bearer (\S+)$/i.exec(req.get('authorization') ?? '')?.[1];
  if (value !== undefined) {
    const { apiKey } = await workos.apiKeys.createValidation({ value });
    if (!apiKey) return null;
    const { owner } = apiKey;
    const organizationId = owner.type === 'organization' ? owner.id : owner.organizationId;
    return { by: apiKey.name, organizationId, permissions: apiKey.permissions };
  }
  if (!req.oidc.isAuthenticated()) return null;
  const { email, org_id, permissions } = claimsOf(req);
  return { by: email, organizationId: org_id, permissions };
}

function requirePermission(permission: string): RequestHandler {
  return async (req, res, next) => {
    let reader;
    try {
      reader = await readerOf(req);
    } catch {
      res.status(503).set('Retry-After', '5').json({ error: 'upstream_unavailable' });
      return;
    }
    if (!reader) res.status(401).json({ error: 'unauthenticated' });
    else if (!reader.permissions.includes(permission)) res.status(403).json({ error: 'forbidden' });
    else {
      (res.locals as Locals).reader = reader;
      next();
    }
  };
}

app.get('/account', oidc.requiresAuth(), loadAccount, (_req, res: Response<unknown, Locals>) => {
  const { id, plan } = res.locals.account;
  res.json({ id, plan, limit: LIMITS[plan] });
});

app.get('/reports', requirePermission('reports:read'), async (_req, res) => {
  const { by, organizationId } = (res.locals as Locals).reader;
  res.json({ by, reports: await reportsOf(organizationId) });
});

export const server = app.listen(process.env['PORT'] ?? 3000);
