import { switchToOrganization } from '@workos-inc/authkit-nextjs';

export async function POST(request) {
  const { organizationId } = await request.json();
  const auth = await switchToOrganization(organizationId, { revalidationStrategy: 'none' });
  return Response.json({ organizationId: auth.organizationId });
}
