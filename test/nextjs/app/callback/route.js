import { handleAuth } from '@workos-inc/authkit-nextjs';

// Next.js is behind a proxy here, as it is in most deployments, and does not know its public address.
export const GET = handleAuth({ baseURL: process.env.PUBLIC_URL });
