import { withAuth } from '@workos-inc/authkit-nextjs';

export async function GET() {
  const { user, sessionId, organizationId } = await withAuth();
  return Response.json({ email: user?.email, sessionId, organizationId });
}
