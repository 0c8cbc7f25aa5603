import { WorkOS } from '@workos-inc/node';
import cookieParser from 'cookie-parser';
import express, { type NextFunction, type Request, type Response } from 'express';

const {
  WORKOS_API_KEY,
  WORKOS_CLIENT_ID = '',
  WORKOS_COOKIE_PASSWORD = '',
  WORKOS_REDIRECT_URI = '',
} = process.env;
const { WORKOS_API_HOSTNAME: apiHostname, WORKOS_API_HTTPS: https, WORKOS_API_PORT: port } = process.env;
const workos = new WorkOS(WORKOS_API_KEY, {
  clientId: WORKOS_CLIENT_ID,
  ...(apiHostname ? { apiHostname, https: https !== 'false', port: Number(port) } : {}),
});
const cookie = {
  httpOnly: true,
  sameSite: 'lax',
  secure: WORKOS_REDIRECT_URI.startsWith('https:'),
} as const;

const sessionOf = (req: Request) =>
  workos.userManagement.loadSealedSession({
    sessionData: (req.cookies as Record<string, string>)['wos-session'] ?? '',
    cookiePassword: WORKOS_COOKIE_PASSWORD,
  });

async function withAuth(req: Request, res: Response, next: NextFunction): Promise<void> {
  const session = sessionOf(req);
  const result = await session.authenticate();
  if (result.authenticated) {
    res.locals['user'] = result.user;
    next();
    return;
  }
  if (!('wos-session' in req.cookies)) {
    res.redirect('/login');
    return;
  }
  try {
    const renewed = await session.refresh();
    if (!renewed.authenticated) throw new Error(renewed.reason);
    res.cookie('wos-session', renewed.sealedSession, cookie);
    res.redirect(req.originalUrl);
  } catch {
    res.clearCookie('wos-session');
    res.redirect('/login');
  }
}

export const app = express();
app.use(cookieParser());

app.get('/login', (_req, res) => {
  const options = { provider: 'authkit', clientId: WORKOS_CLIENT_ID, redirectUri: WORKOS_REDIRECT_URI };
  res.redirect(workos.userManagement.getAuthorizationUrl(options));
});

app.get('/callback', async (req, res) => {
  try {
    const { sealedSession } = await workos.userManagement.authenticateWithCode({
      clientId: WORKOS_CLIENT_ID,
      code: req.query['code'] as string,
      session: { sealSession: true, cookiePassword: WORKOS_COOKIE_PASSWORD },
    });
    res.cookie('wos-session', sealedSession, cookie);
    res.redirect('/dashboard');
  } catch {
    res.redirect('/login');
  }
});

app.get('/dashboard', withAuth, (_req, res) => {
  const { email } = res.locals['user'] as { email: string };
  res.json({ email });
});

app.get('/logout', async (req, res) => {
  const url = await sessionOf(req).getLogoutUrl();
  res.clearCookie('wos-session');
  res.redirect(url);
});
