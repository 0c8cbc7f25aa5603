import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';

export interface IdentityProvider {
  issuer: string;
  close: () => void;
}

/** Starts a minimal OpenID provider for clients of other libraries. It signs in a single user without a prompt. */
export async function startIdentityProvider(
  clientId: string,
  claims: Readonly<Record<string, unknown>>,
): Promise<IdentityProvider> {
  const { publicKey, privateKey } = await generateKeyPair('RS256');
  const jwk = { ...(await exportJWK(publicKey)), kid: 'one', alg: 'RS256', use: 'sig' };
  const nonces = new Map<string, string>();
  let issuer = '';
  const documents: Record<string, () => object> = {
    '/.well-known/openid-configuration': () => ({
      issuer,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `${issuer}/token`,
      jwks_uri: `${issuer}/jwks`,
      response_types_supported: ['code'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['RS256'],
    }),
    '/jwks': () => ({ keys: [jwk] }),
  };
  const idToken = (nonce: string) =>
    new SignJWT({ ...claims, ...(nonce === '' ? {} : { nonce }) })
      .setProtectedHeader({ alg: 'RS256', kid: 'one' })
      .setIssuer(issuer)
      .setAudience(clientId)
      .setIssuedAt()
      .setExpirationTime('1h')
      .sign(privateKey);

  const server = createServer((req, res) => {
    const url = new URL(req.url ?? '/', issuer);
    const answer = async () => {
      if (url.pathname === '/authorize') {
        const { searchParams: asked } = url;
        const code = `code-${nonces.size}`;
        nonces.set(code, asked.get('nonce') ?? '');
        const state = asked.get('state') ?? '';
        res.writeHead(302, {
          Location: `${asked.get('redirect_uri')!}?${new URLSearchParams({ code, state }).toString()}`,
        });
        res.end();
        return;
      }
      let body: object | undefined = documents[url.pathname]?.();
      if (url.pathname === '/token') {
        const sent = new URLSearchParams(Buffer.concat(await req.toArray()).toString());
        const token = await idToken(nonces.get(sent.get('code') ?? '') ?? '');
        body = { access_token: 'opaque', token_type: 'Bearer', expires_in: 3600, id_token: token };
      }
      res.writeHead(body ? 200 : 404, { 'Content-Type': 'application/json' }).end(JSON.stringify(body ?? {}));
    };
    void answer();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    issuer,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
