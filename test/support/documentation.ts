import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface Page {
  /** Relative to the root, such as `docs/testing.md`. */
  readonly path: string;
  readonly text: string;
}

export interface Block {
  /** Its position, such as `docs/testing.md:12`. */
  readonly at: string;
  readonly language: 'ts' | 'js';
  readonly code: string;
  /** Whether it starts a test WorkOS and can run without changes. */
  readonly isRunnable: boolean;
}

/** The pages outside `docs/`, starting with README.md. */
const OTHERS = ['README.md', 'SECURITY.md', 'CHANGELOG.md', 'bench/README.md', 'example/README.md'];

/** Every page that users read. */
export function pages(): Page[] {
  const docs = ['', 'recipes/'].flatMap((folder) =>
    readdirSync(join(ROOT, 'docs', folder))
      .filter((name) => name.endsWith('.md'))
      .map((name) => folder + name),
  );
  return [...OTHERS, ...docs.map((name) => `docs/${name}`)].map((path) => ({
    path,
    text: readFileSync(join(ROOT, path), 'utf8'),
  }));
}

/** The surrounding application, for a block without imports. */
const AROUND = `import express from 'express';
import { authkit, requireAuth, signedIn, AuthKitError } from 'authkit-express';
import { createTestWorkOS } from 'authkit-express/testing';
const app = express();
`;

/** Blocks fenced as `ts` or `js`, completed so that they compile. */
export function blocksOf({ path, text }: Page): Block[] {
  return [...text.matchAll(/^```(ts|js)\n(.*?)^```$/gms)].map((match) => {
    const [, language, code] = match as unknown as [string, Block['language'], string];
    const isWhole = language === 'js' || /^(?:import|export)\b/m.test(code);
    return {
      at: `${path}:${text.slice(0, match.index).split('\n').length}`,
      language,
      code: isWhole ? code : AROUND + code,
      isRunnable: code.includes("from 'authkit-express/testing'") && !code.includes('.listen('),
    };
  });
}
