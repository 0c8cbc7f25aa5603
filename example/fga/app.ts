// Fine-grained authorization: may this user do this to this particular document? A guard asks WorkOS FGA on each
// request.
import type { IncomingMessage } from 'node:http';
import express, { type Request } from 'express';
import { authkit, requireAuth, signedIn, type SignedIn } from 'authkit-express';

const app = express();
const auth = authkit();
app.use(auth);

/** Returns a guard's check: whether the user has the permission for the document in the request's path. */
function mayDocument(permissionSlug: string) {
  return async ({ user, organizationId }: SignedIn, req: IncomingMessage): Promise<boolean> => {
    if (organizationId === undefined) return false;
    const { userManagement, authorization } = auth.workos;
    // WorkOS FGA checks a membership, so find the user's membership in the session's organization.
    const { data } = await userManagement.listOrganizationMemberships({ userId: user.id, organizationId });
    const membership = data.find(({ status }) => status === 'active');
    if (!membership) return false;
    const { authorized } = await authorization.check({
      organizationMembershipId: membership.id,
      permissionSlug,
      resourceTypeSlug: 'document',
      resourceExternalId: String((req as Request).params['id']),
    });
    return authorized;
  };
}

app.get('/documents/:id', requireAuth(mayDocument('document:read')), (req, res) => {
  res.json({ id: req.params['id'], for: signedIn(req).user.email });
});

export const server = app.listen(process.env['PORT'] ?? 3000);
