// Messages that the next page shows once. They are in a cookie, so they need no server-side session.
import type { Request, Response } from 'express';

export function setFlash(res: Response, message: string): void {
  res.cookie('flash', message, { httpOnly: true, sameSite: 'lax' });
}

export function takeFlash(req: Request, res: Response): string | undefined {
  const { flash } = req.cookies as { flash?: string };
  if (flash !== undefined) res.clearCookie('flash');
  return flash;
}
