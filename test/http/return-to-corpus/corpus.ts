import { afterAll, beforeAll, describe, expect, test, type TestContext } from 'vitest';
import { FRAMEWORKS, type Framework } from '../../support/frameworks.js';
import { corpus, type Row } from '../../support/corpora.js';
import { createCorpusApp, staysOn, type CorpusApp } from '../../support/corpus-app.js';
import { tryAll } from '../../support/tally.js';
import { furtherRedirects } from '../../support/further-redirects.js';
import { goodAddresses, hostileAddresses } from '../../support/generated/redirects.js';

interface RedirectRow extends Row {
  input: string;
}

/** Longer values exceed Node's header limit, so Node itself rejects them. */
const MAX_SENT = 4000;

/** For about 500 sign-ins in one test. */
const LONG = { timeout: 300_000 };

/** Few, because the files of all frameworks run at the same time. */
const AT_ONCE = 10;

/**
 * Tests every row of the corpus on one framework: in all three ways on Express 5, and in one of them on the others. Each
 * framework has its own file, because a file runs on one core.
 */
export function describeRedirects(framework: Framework): void {
  describe.runIf(FRAMEWORKS.includes(framework))(`open redirects on ${framework}`, LONG, () => {
    defineTests(framework);
  });
}

function defineTests(framework: Framework): void {
  let at: CorpusApp;
  beforeAll(async () => {
    at = await createCorpusApp(framework);
    await at.exchangeAnyCode();
  });
  afterAll(() => at.close());

  /** The number of request targets that a guard redirected. Node rejects most rows as a request target. */
  let redirected = 0;

  /** A link, a state sealed with the value, and a request target that a guard remembers. */
  const ways: Record<string, (input: string) => Promise<number>> = {
    async query(input) {
      await arrives(await at.begin(input));
      return 1;
    },
    async state(input) {
      await arrives(await at.sealed({ returnTo: input }));
      return 1;
    },
    async target(input) {
      const remembered = await at.raw(input, ['Accept: text/html']);
      // Without a Location header, Node's parser has rejected the request and the application has not seen it.
      const [location, ...others] = [...remembered.matchAll(/^location: (.*)\r$/gim)].map(
        (match) => match[1]!,
      );
      expect(others).toEqual([]);
      expect(remembered.slice(0, 400)).not.toMatch(/^HTTP\/1\.1 5/);
      expect(at.served()).toBe(0);
      if (location === undefined) return 1;
      redirected += 1;
      const login = new URL(location, at.origin);
      expect(login.origin + login.pathname).toBe(`${at.origin}/auth/login`);
      await arrives(await at.begin(login.searchParams.get('returnTo') ?? '/'));
      return 1;
    },
  };

  async function oneWay(way: string, { input }: RedirectRow): Promise<number> {
    if (input.length <= MAX_SENT) return ways[way]!(input);
    const query = new URLSearchParams({ returnTo: input }).toString();
    expect((await at.ask(`/auth/login?${query}`)).status).toBe(431);
    return 1;
  }

  const isThorough = framework === 'express5';
  const NAMES = Object.keys(ways);
  /** The rows that are given in one of the ways, the next row in the next way. */
  const rowsOf = (way: string, rows: readonly RedirectRow[]) =>
    isThorough ? rows : rows.filter((_, index) => index % NAMES.length === NAMES.indexOf(way));

  async function everyWay(rows: readonly RedirectRow[], context: TestContext, name: string): Promise<void> {
    const tries = NAMES.flatMap((way) => rowsOf(way, rows).map((row) => ({ ...row, way })));
    await tryAll(context, { corpus: name, on: framework }, tries, (row) => oneWay(row.way, row), AT_ONCE);
  }

  async function arrives(begun: Parameters<CorpusApp['finish']>[0]): Promise<void> {
    const reply = await at.finish(begun);
    expect(reply.status).toBe(302);
    staysOn(at.origin, reply.headers.location!);
  }

  test.for(NAMES)('no row of the corpus leaves the origin, given as the %s', async (way, context) => {
    const rows = rowsOf(way, corpus<RedirectRow>('open-redirect'));
    const name = { corpus: 'open-redirect, 3 ways', on: framework };
    await tryAll(context, name, rows, (row) => oneWay(way, row), AT_ONCE);
    if (way === 'target') expect(redirected).toBeGreaterThan(isThorough ? 100 : 30);
  });

  test('no further row of the same kinds leaves the origin', async (context) => {
    // Only a sample is sent over HTTP. function.test.ts tests all rows.
    const rows = furtherRedirects().filter((_, index) => index % 240 === FRAMEWORKS.indexOf(framework));
    await everyWay(rows, context, 'open-redirect, further');
  });

  const share = <T>(rows: readonly T[]) =>
    rows.filter((_, index) => index % 4 === FRAMEWORKS.indexOf(framework));

  test('no generated row of the same kinds leaves the origin', async (context) => {
    await everyWay(share(hostileAddresses(160)), context, 'open-redirect, made');
  });

  test('generated addresses of this site are kept, given in three ways', async (context) => {
    const rows = share(goodAddresses(160));
    await tryAll(context, { corpus: 'open-redirect-accept, made', on: framework }, rows, async (row) => {
      const input = row.input.replace('@@ORIGIN@@', at.origin);
      const lands = async (begun: Parameters<CorpusApp['finish']>[0]) => {
        const { location } = await at.finish(begun);
        expect(location).toBe(new URL(input, `${at.origin}/auth/callback`).href);
      };
      await lands(await at.begin(input));
      await lands(await at.sealed({ returnTo: input }));
      // A request target cannot contain a fragment or characters other than these.
      if (!/^\/[!-~]*$/.test(input) || input.includes('#')) return 2;
      const [, login = ''] = /^location: (.*)\r$/im.exec(await at.raw(input, ['Accept: text/html'])) ?? [];
      await lands(await at.begin(new URL(login, at.origin).searchParams.get('returnTo')!));
      return 3;
    });
  });

  test('addresses of this site are kept', async (context) => {
    const rows = corpus<RedirectRow & { must_resolve_to: string }>('open-redirect-accept');
    await tryAll(context, { corpus: 'open-redirect-accept', on: framework }, rows, async (row) => {
      const reply = await at.finish(await at.begin(row.input));
      expect(reply.location).toBe(row.must_resolve_to.replace('https://app.example.com', at.origin));
      return 1;
    });
  });
}
