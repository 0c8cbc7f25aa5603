import type { RespondWithError } from './answer.js';
import { AuthKitError } from './errors.js';
import { isScripted, isSpeculative, noStore, type Handler, type Request, type Response } from './http.js';

/**
 * A route that sends a person away, and so is for page loads alone, or for a client that says nothing: a HEAD, a
 * prefetch or a script starts nothing. What goes wrong is answered.
 */
export function navigationOnly(
  answer: RespondWithError,
  open: (req: Request, res: Response) => Promise<'sent'>,
): Handler {
  return async (req, res) => {
    if (req.method === 'HEAD') return noStore(res, '');
    if (isSpeculative(req)) {
      res.statusCode = 503;
      return noStore(res, '');
    }
    try {
      if (isScripted(req)) throw new AuthKitError('invalid_request', 'open this address as a page');
      return await open(req, res);
    } catch (error) {
      if (error instanceof AuthKitError) return answer(error, req, res);
      throw error;
    }
  };
}
