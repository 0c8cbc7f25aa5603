import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DefaultTheme } from 'vitepress';
import { routeOf } from '../../scripts/links.mjs';

type Item = DefaultTheme.SidebarItem;

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The sidebar, in the order in which a reader is likely to need the pages. */
const GROUPS = {
  Start: ['README.md', 'docs/getting-started.md', 'docs/migration.md', 'example/README.md'],
  Build: ['sign-in', 'guards', 'users', 'accounts', 'hooks', 'branding', 'websocket', 'mcp'].map(inDocs),
  Test: ['testing', 'troubleshooting'].map(inDocs),
  Deploy: [...['production', 'cluster', 'observability'].map(inDocs), 'SECURITY.md'],
  Reference: [
    ...['options', 'parameters', 'compatibility'].map(inDocs),
    'bench/README.md',
    'CHANGELOG.md',
    'CONTRIBUTING.md',
  ],
};

/** Titles that are shorter, or say more in a list, than the headings of the pages. */
const TITLES: Readonly<Record<string, string>> = {
  'README.md': 'Overview',
  'CHANGELOG.md': 'Changelog',
};

const MODULES = [
  'authkit-express',
  'authkit-express/testing',
  'authkit-express/redis',
  'authkit-express/postgres',
];

function inDocs(name: string): string {
  return `docs/${name}.md`;
}

function markdownIn(folder: string): string[] {
  if (!existsSync(join(ROOT, folder))) return [];
  return readdirSync(join(ROOT, folder))
    .filter((file) => file.endsWith('.md'))
    .map((file) => `${folder}/${file}`);
}

function itemOf(page: string): Item {
  const [, heading = page] = /^# (.+)$/m.exec(readFileSync(join(ROOT, page), 'utf8')) ?? [];
  return { text: TITLES[page] ?? heading.replaceAll('`', ''), link: `/${routeOf(page) ?? ''}` };
}

function itemsByTitle(pages: string[]): Item[] {
  return pages.map(itemOf).sort((a, b) => (a.text ?? '').localeCompare(b.text ?? ''));
}

/** Every page. A page of `docs/` that is in no group is in the last one, so that none is missing. */
export function sidebar(): Item[] {
  const grouped = new Set(['docs/README.md', ...Object.values(GROUPS).flat()]);
  const groups = Object.entries(GROUPS).map(([text, pages]) => ({
    text,
    items: pages.filter((page) => existsSync(join(ROOT, page))).map(itemOf),
  }));
  const recipes = { text: 'Recipes', items: itemsByTitle(markdownIn('docs/recipes')) };
  const others = markdownIn('docs').filter((page) => !grouped.has(page));
  groups.splice(2, 0, recipes);
  groups.push({ text: 'Further pages', items: itemsByTitle(others) });
  return groups.filter(({ items }) => items.length > 0);
}

/** The generated pages: for each module its functions and classes, and then its types. */
export function apiSidebar(): Item {
  const kinds = ['functions', 'classes', 'variables', 'interfaces', 'type-aliases'];
  const items = MODULES.map((module) => ({
    text: module,
    link: `/api/${module}/`,
    collapsed: true,
    items: kinds.flatMap((kind) =>
      markdownIn(`site/api/${module}/${kind}`).map((file) => {
        const name = file.replace(/^.*\/|\.md$/g, '');
        return { text: name, link: `/api/${module}/${kind}/${name}` };
      }),
    ),
  }));
  return { text: 'API', items };
}
