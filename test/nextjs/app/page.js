import { withAuth } from '@workos-inc/authkit-nextjs';
import { createElement } from 'react';

export default async function Page() {
  const { user } = await withAuth();
  return createElement('p', null, user ? `Signed in as ${user.email}` : 'Signed out');
}
