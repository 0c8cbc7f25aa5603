import type { Request } from 'express';
import { Strategy } from 'passport';

/** A passport strategy that authenticates partners by a key in a header. */
export class PartnerKey extends Strategy {
  constructor(private readonly partners: ReadonlyMap<string, string>) {
    super();
  }

  override authenticate(req: Request): void {
    const partner = this.partners.get(req.get('x-partner-key') ?? '');
    if (partner === undefined) this.fail(401);
    else this.success({ id: partner } as Express.User);
  }
}
