import { existsSync } from 'node:fs';
import { join, posix, relative } from 'node:path';
import type { MarkdownRenderer } from 'vitepress';
import { REPOSITORY, routeOf } from '../../scripts/links.mjs';
import { ROOT } from './pages';

/** The anchor of a heading as GitHub makes it, because links in the pages have to work there too. */
export function slugOf(heading: string): string {
  return heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}_\s-]/gu, '')
    .replace(/\s/g, '-');
}

/** The address on the site of a link as it is written for GitHub: `../SECURITY.md#cookies`. */
function onSite(link: string, page: string): string {
  if (/^(?:[a-z]+:|#|\/)/i.test(link) || page.startsWith('site/api/')) return link;
  const [target = '', anchor = ''] = link.split(/(?=#)/);
  const path = posix.join(posix.dirname(page), target);
  const route = routeOf(path);
  if (route !== undefined) return `/${route}${anchor}`;
  if (!existsSync(join(ROOT, path))) throw new Error(`${page}: the link ${link} leads to no file`);
  return `${REPOSITORY}/blob/main/${path}${anchor}`;
}

/** Links lead to the pages of the site, and otherwise to the files at GitHub. */
export function links(md: MarkdownRenderer): void {
  md.core.ruler.push('links-on-site', ({ tokens, env }) => {
    const { path, realPath = path } = env as { path: string; realPath?: string };
    const page = relative(ROOT, realPath);
    for (const token of tokens.flatMap(({ children }) => children ?? [])) {
      const href = token.type === 'link_open' ? token.attrGet('href') : null;
      if (href !== null) token.attrSet('href', onSite(href, page));
    }
  });
}

/** Blocks of `mermaid` become diagrams, as at GitHub. */
export function diagrams(md: MarkdownRenderer): void {
  const fence = md.renderer.rules.fence;
  md.renderer.rules.fence = (tokens, index, options, env, self) => {
    const { info = '', content = '' } = tokens[index] ?? {};
    if (info.trim() !== 'mermaid') return fence?.(tokens, index, options, env, self) ?? '';
    return `<Diagram code="${encodeURIComponent(content)}" />`;
  };
}
