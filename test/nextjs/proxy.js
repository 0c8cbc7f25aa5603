import { authkitProxy } from '@workos-inc/authkit-nextjs';

export default authkitProxy({ redirectUri: `${process.env.PUBLIC_URL}/callback` });

export const config = { matcher: ['/', '/me', '/login', '/switch', '/logout'] };
