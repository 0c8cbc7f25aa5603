import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { AuthKitError, type PageOptions, type PagesOption, type PageTexts } from 'authkit-express';
import { ERROR_CODES } from '../../src/errors.js';
import { createErrorResponder } from '../../src/http/error-response.js';
import type { Request } from '../../src/http/handler-to-middleware.js';
import { BUTTON_TEXTS, DEFAULT_TEXTS, type PageName } from '../../src/http/page-texts.js';
import { type Page, sendPage, textColorOn } from '../../src/http/pages.js';
import { readPages } from '../../src/config/pages.js';
import { Problems } from '../../src/config/collect-problems.js';
import { ROOT } from '../support/documentation.js';
import { FRAMEWORKS } from '../support/frameworks.js';
import { Browser, NAVIGATION, type Reply, send } from '../support/browser.js';
import { ADA, createTestApp } from '../support/app.js';
import { createSSOWorkOS, startSSO } from '../sso/support.js';

const HOSTILE = `"'><script>alert(1)</script>&`;
const ESCAPED = '&#34;&#39;&#62;&#60;script&#62;alert(1)&#60;/script&#62;&#38;';

/** Requests the page for a sign-in that did not finish. */
const failedSignIn = (origin: string, headers: Record<string, string> = {}) =>
  send(`${origin}/callback?code=x&state=y`, { headers: { ...NAVIGATION, ...headers } });

const titleIn = ({ body }: Pick<Reply, 'body'>) => /<h1>(.*?)<\/h1>/.exec(body)?.[1];

async function appWith(pages: PagesOption) {
  return createTestApp('express5', { authkit: { pages } });
}

describe('the option pages', () => {
  test('accepts no logo whose host would add to the Content-Security-Policy', async () => {
    for (const logo of [
      'https://a.example;sandbox/x',
      'https://a.example,sandbox/x',
      "https://a'b.example/x",
    ]) {
      const problems = new Problems();
      readPages({ logo }, problems);
      expect(problems.list).toHaveLength(1);
    }
    const problems = new Problems();
    for (const logo of [
      'https://xn--bcher-kva.example:8443/l.svg',
      'https://[::1]/l.svg',
      'https://a_b.example/l',
    ])
      readPages({ logo }, problems);
    expect(problems.list).toEqual([]);
  });

  test.each(FRAMEWORKS)(
    'gives pages a name, a logo, a color, a language and texts, on %s',
    async (framework) => {
      const pages: PageOptions = {
        title: 'Analytical Engines',
        logo: '/logo.svg',
        color: '#5145cd',
        lang: 'de',
        texts: {
          signOut: { title: 'Abmelden?', text: 'Mit dem Knopf melden Sie sich ab.' },
          buttons: { signOut: 'Abmelden' },
        },
      };
      const { origin } = await createTestApp(framework, { authkit: { pages } });
      const { body, headers } = await send(`${origin}/logout`, { headers: NAVIGATION });
      expect(body).toContain('<html lang="de">');
      expect(body).toContain('<title>Abmelden? · Analytical Engines</title>');
      expect(body).toContain('<p class="brand"><img src="/logo.svg" alt="">Analytical Engines</p>');
      expect(body).toContain('<h1>Abmelden?</h1>\n<p>Mit dem Knopf melden Sie sich ab.</p>');
      expect(body).toContain('<button>Abmelden</button>');
      expect(body).toContain('--accent:#5145cd;--on-accent:#fff');
      expect(headers['content-security-policy']).toContain("img-src 'self'");
    },
  );

  test('applies to the pages of sso()', async () => {
    const workos = await createSSOWorkOS();
    const { origin } = await startSSO(workos, 'express5', {
      options: { pages: { title: 'Example', texts: { signOut: { title: 'Leave?' } } } },
    });
    const { body } = await send(`${origin}/sso/logout`, { headers: NAVIGATION });
    expect(body).toContain('<h1>Leave?</h1>');
    expect(body).toContain('Example</p>');
  });

  test('can be a function of the request, such as of its language', async () => {
    const german = { lang: 'de', texts: { invalid_state: { title: 'Anmeldung abgebrochen' } } } as const;
    const { origin } = await appWith((req) =>
      Promise.resolve(req.headers['accept-language'] === 'de' ? german : undefined),
    );
    expect(titleIn(await failedSignIn(origin, { 'accept-language': 'de' }))).toBe('Anmeldung abgebrochen');
    expect(titleIn(await failedSignIn(origin))).toBe(DEFAULT_TEXTS.invalid_state.title);
  });

  test.each([
    ['a name that is too long', { title: 'x'.repeat(101) }, `${'x'.repeat(99)}…</p>`],
    ['a name that is cut inside a character', { title: `${'x'.repeat(98)}😀😀` }, `${'x'.repeat(98)}…</p>`],
    ['an empty name', { title: ' ' }, `<title>${DEFAULT_TEXTS.invalid_state.title}</title>`],
    [
      'a title that is too long',
      { texts: { invalid_state: { title: 'y'.repeat(1001) } } },
      `<h1>${'y'.repeat(999)}…</h1>`,
    ],
    [
      'an empty title',
      { texts: { invalid_state: { title: '' } } },
      `<h1>${DEFAULT_TEXTS.invalid_state.title}</h1>`,
    ],
    ['a text that is too long', { texts: { invalid_state: { text: 'z'.repeat(2000) } } }, undefined],
    [
      'a label that is too long',
      { texts: { buttons: { signIn: 'b'.repeat(2000) } } },
      `>${'b'.repeat(999)}…</a>`,
    ],
    ['an empty label', { texts: { buttons: { signIn: '' } } }, `>${BUTTON_TEXTS.signIn}</a>`],
  ])('a page does not fail because its function returns %s', async (_, pages, shown = '') => {
    const { origin } = await appWith(() => pages);
    const { status, body } = await failedSignIn(origin);
    expect(status).toBe(400);
    expect(body).toContain(shown);
    expect(body).not.toMatch(/x{101}|[yzb]{1001}/);
  });

  test('a language, logo or color of a function that cannot be used is left out, with one warning each', async () => {
    const seen: string[] = [];
    const spy = vi.spyOn(process, 'emitWarning').mockImplementation((message, options) => {
      if ((options as { code?: string } | undefined)?.code === 'AUTHKIT_PAGES') seen.push(String(message));
    });
    onTestFinished(() => {
      spy.mockRestore();
    });
    const { origin } = await appWith((req) => ({
      title: 'Example',
      lang: req.headers['accept-language'] ?? '*',
      logo: 'javascript:alert(1)',
      color: 'red',
    }));
    for (const headers of [{}, { 'accept-language': 'de-DE,de;q=0.9' }]) {
      const { status, body } = await failedSignIn(origin, headers);
      expect([status, body.includes('<html lang="en">'), body.includes('Example')]).toEqual([
        400,
        true,
        true,
      ]);
      expect(body).not.toContain('javascript:');
    }
    expect(seen).toEqual([
      expect.stringContaining('pages.lang must be a language tag'),
      expect.stringContaining('pages.logo must be'),
      expect.stringContaining('pages.color must be'),
    ]);
  });

  test('what a function returns has no name or text from a polluted Object.prototype', async () => {
    const { origin } = await appWith(() => ({ texts: { invalid_state: {} } }));
    const polluted = Object.prototype as Record<string, unknown>;
    polluted['title'] = 'from the prototype';
    try {
      expect((await failedSignIn(origin)).body).not.toContain('prototype');
    } finally {
      delete polluted['title'];
    }
  });

  test('a language that is written from right to left has its direction', async () => {
    const { origin } = await appWith({ lang: 'ar-EG' });
    expect((await failedSignIn(origin)).body).toContain('<html lang="ar-EG" dir="rtl">');
  });

  test('T27 nothing in it can add markup', async () => {
    const { origin } = await appWith({
      title: HOSTILE,
      logo: `/${HOSTILE}`,
      texts: { invalid_state: { title: HOSTILE, text: HOSTILE }, buttons: { signIn: HOSTILE } },
    });
    const { body } = await failedSignIn(origin);
    expect(body).not.toContain('<script');
    expect(body.split(ESCAPED)).toHaveLength(8);
  });
});

describe('the Content-Security-Policy of a page', () => {
  const policyOf = async (pages: PagesOption) => {
    const { origin } = await appWith(pages);
    const { headers, body } = await failedSignIn(origin);
    return { policy: String(headers['content-security-policy']), body };
  };

  test.each([undefined, '#fff', '#123456'])(
    'allows its style by hash, and no script (color %s)',
    async (color) => {
      const { policy, body } = await policyOf(color === undefined ? {} : { color });
      const style = /<style>([^]*?)<\/style>/.exec(body)![1]!;
      expect(policy).toContain(`style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`);
      expect(policy).toContain("default-src 'none'");
      expect(policy).not.toMatch(/script-src|unsafe|img-src/);
    },
  );

  test.each([
    ['/logo.svg', "img-src 'self'"],
    ['https://cdn.example.com/logo.svg', 'img-src https://cdn.example.com'],
    ['data:image/svg+xml;base64,PHN2Zy8+', 'img-src data:'],
  ])('allows the logo %s and no other image', async (logo, directive) => {
    expect((await policyOf({ logo })).policy.split('; ')).toContain(directive);
  });

  test('allows the hidden image beside the logo on the page after a sign-out', async () => {
    const { origin, signIn, browser } = await createTestApp('express5', {
      authkit: { pages: { logo: 'https://cdn.example.com/logo.svg' } },
    });
    await signIn(ADA);
    const { headers } = await browser.go(`${origin}/logout`, {
      method: 'POST',
      headers: { 'sec-fetch-site': 'same-origin' },
    });
    expect(headers['content-security-policy']).toContain("img-src 'self' https://cdn.example.com");
  });
});

describe('pages.render', () => {
  test('puts a page into a layout of the application, with a nonce for its style', async () => {
    const { origin } = await appWith({
      lang: 'de',
      texts: { invalid_state: { title: 'Abgebrochen' } },
      render: async ({ lang, head, body, nonce, name, status }) => {
        await Promise.resolve();
        return `<html lang="${lang}"><head>${head}<style nonce="${nonce}">p{color:red}</style></head><body class="${name} ${status}">${body}</body></html>`;
      },
    });
    const { body, headers, status } = await failedSignIn(origin);
    expect(status).toBe(400);
    expect(body).toContain('<html lang="de"><head><meta charset="utf-8">');
    expect(body).toContain('<title>Abgebrochen</title>');
    expect(body).toContain('<body class="invalid_state 400"><h1>Abgebrochen</h1>');
    expect(body).toContain(`<a href="${origin}/login">Sign in</a>`);
    const nonce = /nonce="([^"]+)"/.exec(body)![1]!;
    const policy = String(headers['content-security-policy']);
    expect(policy).toContain(`style-src 'self' 'nonce-${nonce}'`);
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toMatch(/script-src|unsafe/);
    expect(nonce).not.toBe(/nonce="([^"]+)"/.exec((await failedSignIn(origin)).body)![1]);
  });

  test('keeps a Content-Security-Policy of the application, and the other headers of a page', async () => {
    const { origin } = await createTestApp('express5', {
      authkit: { pages: { render: ({ body }) => body } },
      mount: (app, auth) => {
        app.use((_req, res, next) => {
          res.setHeader('Content-Security-Policy', "default-src 'self'");
          next();
        });
        app.use(auth);
      },
    });
    const { headers } = await failedSignIn(origin);
    expect(headers).toMatchObject({
      'content-security-policy': "default-src 'self'",
      'x-frame-options': 'DENY',
      'x-content-type-options': 'nosniff',
      'cache-control': 'private, no-store',
      'referrer-policy': 'same-origin',
    });
  });

  test('gets the redirect of a page that leads on by itself', async () => {
    const { origin, signIn, browser } = await createTestApp('express5', {
      authkit: { pages: { render: ({ head, body }) => head + body } },
    });
    await signIn(ADA);
    const post = { method: 'POST', headers: { 'sec-fetch-site': 'same-origin' } };
    const { body } = await browser.go(`${origin}/logout`, post);
    expect(body).toContain('<meta http-equiv="refresh"');
    expect(body).toContain('hidden>');
  });
});

test.each(FRAMEWORKS)(
  'what pages throws goes to the error handler, and the session has ended, on %s',
  async (framework) => {
    for (const [pages, says] of [
      [() => Promise.reject(new Error('no translation')), 'no translation'],
      [() => ({ titel: 'x' }) as PageOptions, 'did you mean title?'],
      [{ render: () => undefined as unknown as string }, 'pages.render must return a string of HTML'],
    ] as const) {
      const { origin, signIn, site } = await createTestApp(framework, { authkit: { pages } });
      const browser = new Browser();
      await signIn(ADA, '/account', browser);
      const post = { method: 'POST', headers: { 'sec-fetch-site': 'same-origin' } };
      const reply = await browser.go(`${origin}/logout`, post);
      expect(reply.status).toBe(500);
      expect(site.errors.map(String).join()).toContain(says);
      expect((await browser.fetch(`${origin}/account`)).status).toBe(401);
    }
  },
);

test('what pages throws is what auth.signOut() rejects with', async () => {
  const { origin, signIn, browser, site } = await createTestApp('express5', {
    authkit: { pages: () => Promise.reject(new Error('no translation')) },
    routes: (app, auth) => {
      app.route('/bye', (req, res, next) => {
        auth.signOut(req, res).catch(next);
      });
    },
  });
  await signIn(ADA);
  const headers = { 'sec-fetch-site': 'same-origin' };
  expect((await browser.go(`${origin}/bye`, { method: 'POST', headers })).status).toBe(500);
  expect(site.errors.map(String)).toEqual(['Error: no translation']);
});

/** A response without a server, which records what was sent. */
function createResponse() {
  const sent = { body: '' };
  const res = {
    setHeader: () => undefined,
    hasHeader: () => false,
    getHeaderNames: () => [],
    removeHeader: () => undefined,
    end: (text: string) => (sent.body = text),
  } as unknown as ServerResponse;
  return { res, sent };
}

const REQUEST = { method: 'GET', url: '/', headers: NAVIGATION } as unknown as Request;

async function bodyOf(page: Page, pages: PageOptions): Promise<string> {
  const { res, sent } = createResponse();
  await sendPage(REQUEST, res, page, { pages: readPages(pages, new Problems()) });
  return sent.body;
}

const NAMES = Object.keys(DEFAULT_TEXTS) as PageName[];

describe('every text can be translated', () => {
  const texts = Object.fromEntries([
    ...NAMES.map((name) => [name, { title: `T ${name}`, text: `X ${name}` }]),
    ['buttons', Object.fromEntries(Object.keys(BUTTON_TEXTS).map((name) => [name, `B ${name}`]))],
  ]) as PageTexts;

  test.each(NAMES)('%s', async (name) => {
    const body = await bodyOf({ name, link: { href: '/', label: 'continue' } }, { texts });
    expect(body).toContain(`<h1>T ${name}</h1>\n<p>X ${name}</p>\n<a href="/">B continue</a>`);
    const english = await bodyOf({ name }, {});
    expect(english).toContain(`<h1>${DEFAULT_TEXTS[name].title}</h1>\n<p>${DEFAULT_TEXTS[name].text}</p>`);
  });

  test.each(ERROR_CODES)(
    'the page of the error %s, but not a text that the application gave it',
    async (code) => {
      const shown = async (error: AuthKitError) => {
        const respond = createErrorResponder({
          hooks: {},
          routes: { login: { public: '/login' } },
          redirectUri: 'https://example.com/callback',
          returnTo: '/',
          returnToRules: { origin: 'https://example.com', origins: [], ownPaths: [] },
          pages: readPages({ texts }, new Problems()),
        });
        const { res, sent } = createResponse();
        await respond(error, REQUEST, res);
        return sent.body;
      };
      expect(await shown(new AuthKitError(code, 'for developers'))).toContain(`<p>X ${code}</p>`);
      const own = await shown(new AuthKitError(code, 'for developers', { publicMessage: 'Ask <us>.' }));
      expect(own).toContain(`<h1>T ${code}</h1>\n<p>Ask &#60;us&#62;.</p>`);
    },
  );

  test('the reasons of invalid_state have the text of invalid_state if they have none', async () => {
    const general = { texts: { invalid_state: { title: 'Abgebrochen', text: 'Bitte noch einmal.' } } };
    for (const reason of ['no_cookie', 'expired', 'spent'] as const) {
      const body = await bodyOf({ name: `invalid_state_${reason}` }, general);
      expect(body).toContain('<h1>Abgebrochen</h1>\n<p>Bitte noch einmal.</p>');
    }
    const { origin, workos } = await appWith({ texts: { invalid_state_no_cookie: { text: 'Cookies?' } } });
    const away = await send(`${origin}/login`, { headers: NAVIGATION });
    const callback = await workos.authorize(away.location!, { user: ADA });
    expect((await send(callback, { headers: NAVIGATION })).body).toContain('<p>Cookies?</p>');
  });
});

/** The WCAG 2.2 contrast of two colors. */
function contrast(color: string, text: string): number {
  const luminance = (hex: string) => {
    const full = hex.length === 4 ? hex.replace(/[\da-f]/gi, '$&$&') : hex;
    const [red, green, blue] = [1, 3, 5]
      .map((start) => Number.parseInt(full.slice(start, start + 2), 16) / 255)
      .map((value) => (value <= 0.040_45 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!;
  };
  const [dark, light] = [luminance(color), luminance(text)].sort((a, b) => a - b);
  return (light! + 0.05) / (dark! + 0.05);
}

test('the text of a button can be read on every color (WCAG 2.2, 1.4.3)', () => {
  const steps = Array.from({ length: 18 }, (_, index) => (index * 15).toString(16).padStart(2, '0'));
  for (const red of steps)
    for (const green of steps)
      for (const blue of steps) {
        const color = `#${red}${green}${blue}`;
        expect(contrast(color, textColorOn(color)), color).toBeGreaterThanOrEqual(4.5);
      }
});

test('docs/branding.md lists every text', () => {
  const page = readFileSync(join(ROOT, 'docs/branding.md'), 'utf8').replace(/ +\|/g, ' |');
  for (const [name, { title, text }] of Object.entries(DEFAULT_TEXTS))
    expect(page).toContain(`| \`${name}\` | ${title} | ${text} |`);
  for (const [name, label] of Object.entries(BUTTON_TEXTS))
    expect(page).toContain(`| \`${name}\` | ${label} |`);
});
