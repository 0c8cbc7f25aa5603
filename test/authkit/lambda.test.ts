import { configure } from '@codegenie/serverless-express';
import express from 'express';
import express4 from 'express4';
import serverlessHttp from 'serverless-http';
import { CookieJar } from 'tough-cookie';
import { describe, expect, onTestFinished, test } from 'vitest';
import { authkit, requireAuth } from 'authkit-express';
import { createTestWorkOS } from 'authkit-express/testing';
import { ADA, whoami } from '../support/app.js';
import { NAVIGATION } from '../support/browser.js';

type Invoke = (event: object) => Promise<LambdaResponse>;

/** The response that API Gateway expects from a function, in version 1.0 or 2.0. */
interface LambdaResponse {
  statusCode: number;
  body: string;
  headers?: Record<string, string>;
  multiValueHeaders?: Record<string, string[]>;
  cookies?: string[];
}

interface GatewayRequest {
  method: string;
  url: URL;
  headers: Record<string, string>;
  cookie: string;
}

type Listener = ReturnType<typeof express>;

const ADAPTERS: Record<string, (app: Listener) => Invoke> = {
  'serverless-http': (app) => {
    const handler = serverlessHttp(app);
    return async (event) => (await handler(event, {})) as LambdaResponse;
  },
  '@codegenie/serverless-express': (app) => {
    const handler = configure({ app }) as unknown as (
      event: object,
      context: object,
    ) => Promise<LambdaResponse>;
    return (event) => handler(event, {});
  },
};

/** How API Gateway describes a request, and where it finds the cookies of a response. */
const EVENTS: Record<
  string,
  { of: (request: GatewayRequest) => object; cookies: (response: LambdaResponse) => string[] }
> = {
  '1.0': {
    of({ method, url, headers, cookie }) {
      const all = Object.entries({
        ...headers,
        Host: url.host,
        ...(cookie === '' ? {} : { Cookie: cookie }),
      });
      const query = [...url.searchParams];
      return {
        version: '1.0',
        resource: '/{proxy+}',
        path: url.pathname,
        httpMethod: method,
        headers: Object.fromEntries(all),
        multiValueHeaders: Object.fromEntries(all.map(([name, value]) => [name, [value]])),
        queryStringParameters: query.length === 0 ? null : Object.fromEntries(query),
        multiValueQueryStringParameters:
          query.length === 0
            ? null
            : Object.fromEntries(query.map(([name]) => [name, url.searchParams.getAll(name)])),
        requestContext: {
          stage: 'prod',
          httpMethod: method,
          path: url.pathname,
          identity: { sourceIp: '192.0.2.1' },
        },
        body: null,
        isBase64Encoded: false,
      };
    },
    cookies: ({ headers = {}, multiValueHeaders = {} }) => {
      const named = (fields: Record<string, string | string[]>) =>
        Object.entries(fields).flatMap(([name, value]) => (name.toLowerCase() === 'set-cookie' ? value : []));
      const many = named(multiValueHeaders);
      return many.length > 0 ? many : named(headers);
    },
  },
  '2.0': {
    // The cookies are in a separate field, not in the headers.
    of: ({ method, url, headers, cookie }) => ({
      version: '2.0',
      routeKey: '$default',
      rawPath: url.pathname,
      rawQueryString: url.search.slice(1),
      ...(cookie === '' ? {} : { cookies: cookie.split('; ') }),
      headers: { ...headers, host: url.host },
      requestContext: {
        stage: '$default',
        http: { method, path: url.pathname, protocol: 'HTTP/1.1', sourceIp: '192.0.2.1', userAgent: 'x' },
      },
      isBase64Encoded: false,
    }),
    cookies: ({ cookies = [] }) => cookies,
  },
};

const ORIGIN = 'https://app.example.com';

async function createLambda(adapter: string, version: string, framework: typeof express) {
  const redirectUri = `${ORIGIN}/callback`;
  const workos = await createTestWorkOS({ redirectUris: [redirectUri] });
  onTestFinished(() => workos.close());
  const app = framework();
  // The session needs more than one cookie.
  const onSuccess = () => ({ data: { notes: 'x'.repeat(3000) } });
  app.use(authkit({ ...workos.options, redirectUri, onSuccess }));
  app.get('/open', whoami);
  app.get('/account', requireAuth(), whoami);
  const invoke = ADAPTERS[adapter]!(app);
  const { of: eventOf, cookies } = EVENTS[version]!;
  const jar = new CookieJar();
  async function send(path: string, method = 'GET', headers: Record<string, string> = NAVIGATION) {
    const url = new URL(path, ORIGIN);
    const cookie = await jar.getCookieString(url.href);
    const response = await invoke(eventOf({ method, url, headers, cookie }));
    for (const line of cookies(response)) await jar.setCookie(line, url.href);
    const fields = { ...response.headers, ...response.multiValueHeaders };
    const found = Object.entries(fields).find(([name]) => name.toLowerCase() === 'location')?.[1];
    return { status: response.statusCode, body: response.body, location: String(found ?? '') };
  }
  const names = async () => (await jar.getCookies(ORIGIN)).map(({ key }) => key).sort();
  return { workos, send, names };
}

const ROWS = Object.keys(ADAPTERS).flatMap((adapter) =>
  Object.keys(EVENTS).flatMap((version) => [
    { adapter, version, express: 5, framework: express },
    { adapter, version, express: 4, framework: express4 as unknown as typeof express },
  ]),
);

describe('on AWS Lambda', () => {
  test.each(ROWS)(
    '$adapter with events of version $version and Express $express: sign-in, refresh and sign-out',
    async ({ adapter, version, framework }) => {
      const { workos, send, names } = await createLambda(adapter, version, framework);
      const away = await send('/account?tab=1&q=a%20b');
      expect(away).toMatchObject({ status: 302, location: expect.stringMatching(/^\/login\?/) as string });
      const { location } = await send(away.location);
      const callback = await workos.authorize(location, { user: ADA });
      const back = await send(callback);
      expect(back).toMatchObject({ status: 302, location: '/account?tab=1&q=a%20b' });
      expect(await names()).toEqual(['__Host-wos-signed-in', 'wos-session.0', 'wos-session.1']);
      expect((await send('/account')).body).toContain(ADA);

      workos.clock.advance(600_000);
      expect((await send('/account')).body).toContain(ADA);
      expect((await send('/account')).body).toContain(ADA);
      expect(workos.callsTo('refresh')).toHaveLength(1);

      const out = await send('/logout?returnTo=/open', 'POST', {
        ...NAVIGATION,
        'sec-fetch-site': 'same-origin',
      });
      expect(out).toMatchObject({ status: 200, body: expect.stringContaining('Signing you out') as string });
      expect((await names()).filter((name) => name.startsWith('wos-session'))).toEqual([]);
      expect(JSON.parse((await send('/open')).body)).toMatchObject({ email: null });
    },
  );
});
