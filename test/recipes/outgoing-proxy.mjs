// Calls to WorkOS through a proxy for outgoing requests.
import { fetch, ProxyAgent } from 'undici';
import { authkit } from 'authkit-express';

const dispatcher = new ProxyAgent(process.env.HTTPS_PROXY);

export const auth = authkit({
  fetch: (input, init) => fetch(input, { ...init, dispatcher }),
});
