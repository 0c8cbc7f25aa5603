import { Agent, request, type IncomingHttpHeaders } from 'node:http';
import { CookieJar } from 'tough-cookie';

export interface Reply {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
  /** The absolute URL of the `Location` header. */
  location: string | undefined;
  setCookies: string[];
}

export interface Ask {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
  /** Default: connections are reused, as in a browser. `false` opens a new one for this request. */
  agent?: Agent | false;
}

/** Headers that a browser sends when the user types an address. */
export const NAVIGATION = {
  accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
  'sec-fetch-mode': 'navigate',
  'sec-fetch-dest': 'document',
  'sec-fetch-site': 'none',
};

/** Headers that a browser sends for `fetch()` on a page of the same origin. */
export const FETCH = {
  accept: '*/*',
  'sec-fetch-mode': 'cors',
  'sec-fetch-dest': 'empty',
  'sec-fetch-site': 'same-origin',
};

const keepAlive = new Agent({ keepAlive: true });

/** Sends one HTTP request and leaves the request target unchanged. */
export function send(
  url: string,
  { method = 'GET', headers = {}, body, agent = keepAlive }: Ask = {},
): Promise<Reply> {
  const { hostname, port, origin } = new URL(url);
  const path = url.slice(origin.length) || '/';
  return new Promise((resolve, reject) => {
    const req = request({ hostname, port, path, method, headers, agent }, (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => chunks.push(chunk));
      res.on('error', reject);
      res.on('end', () => {
        const { location } = res.headers;
        resolve({
          status: res.statusCode ?? 0,
          headers: res.headers,
          body: Buffer.concat(chunks).toString('utf8'),
          location: location === undefined ? undefined : new URL(location, url).href,
          setCookies: res.headers['set-cookie'] ?? [],
        });
      });
    });
    req.on('error', (error: NodeJS.ErrnoException) => {
      // The server may close an idle connection just as a request is sent on it. Browsers then use a new one.
      const wasClosed = req.reusedSocket && error.code === 'ECONNRESET';
      if (wasClosed)
        send(url, { method, headers, agent: false, ...(body !== undefined && { body }) }).then(
          resolve,
          reject,
        );
      else reject(error);
    });
    req.end(body);
  });
}

/** A browser from the server's point of view: a strict cookie jar, navigation headers, and redirects on request. */
export class Browser {
  readonly jar = new CookieJar(undefined, { rejectPublicSuffixes: false });

  async go(url: string, ask: Ask = {}): Promise<Reply> {
    const cookie = await this.jar.getCookieString(url);
    const headers = { ...NAVIGATION, ...(cookie === '' ? {} : { cookie }), ...ask.headers };
    const reply = await send(url, { ...ask, headers });
    for (const line of reply.setCookies) await this.jar.setCookie(line, url);
    return reply;
  }

  fetch(url: string, ask: Ask = {}): Promise<Reply> {
    return this.go(url, { ...ask, headers: { ...FETCH, ...ask.headers } });
  }

  /** Follows redirects within the origin of `url`. Returns the first response that does not redirect within it. */
  async follow(url: string): Promise<Reply & { url: string }> {
    let here = url;
    for (let hops = 0; hops < 10; hops += 1) {
      const reply = await this.go(here);
      if (reply.location === undefined || new URL(reply.location).origin !== new URL(url).origin) {
        return { ...reply, url: here };
      }
      here = reply.location;
    }
    throw new Error(`more than ten redirects from ${url}`);
  }

  async cookie(url: string, name: string): Promise<string | undefined> {
    return (await this.jar.getCookies(url)).find((cookie) => cookie.key === name)?.value;
  }

  async cookieNames(url: string): Promise<string[]> {
    return (await this.jar.getCookies(url)).map((cookie) => cookie.key).sort();
  }
}
