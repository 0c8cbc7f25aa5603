// The addresses of this repository's pages, both in the repository and on the documentation site. The site, the
// tarball's README and the tests get the addresses from here.
import { readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const { homepage, repository } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** Address of the site, with a trailing slash. */
export const SITE = homepage;
/** Address of the repository, without a trailing slash. */
export const REPOSITORY = repository.url.replace(/^git\+/, '').replace(/\.git$/, '');

/** Pages outside `docs/` that are part of the site, with their routes. */
const OTHER_PAGES = {
  'README.md': 'overview',
  'docs/README.md': '',
  'SECURITY.md': 'security',
  'CHANGELOG.md': 'changelog',
  'CONTRIBUTING.md': 'contributing',
  'example/README.md': 'examples',
  'bench/README.md': 'benchmark',
};

/**
 * The route of a page on the site, or undefined if the file is not part of it.
 *
 * @param {string} path Relative to the root of the repository, such as `docs/testing.md`.
 */
export function routeOf(path) {
  if (path in OTHER_PAGES) return OTHER_PAGES[path];
  if (path === 'docs/recipes/README.md') return 'recipes/';
  return /^docs\/((?:recipes\/)?[\w-]+)\.md$/.exec(path)?.[1];
}

/**
 * The absolute address of a link: a page of the site if there is one, otherwise a file on GitHub.
 *
 * @param {string} link As written on the page: `../SECURITY.md#cookies`.
 * @param {string} page The page that contains the link, relative to the root of the repository.
 */
export function absoluteLink(link, page) {
  if (/^(?:[a-z]+:|#)/i.test(link)) return link;
  const [target, ...anchor] = link.split(/(?=#)/);
  const path = posix.join(posix.dirname(page), target);
  const route = routeOf(path);
  const url = route === undefined ? `${REPOSITORY}/blob/main/${path}` : SITE + route;
  return url + anchor.join('');
}

const MARKDOWN_LINK = /(\]\()([^()\s]+)(\))/g;

/** Returns the README with links that work both on the package's npm page and in an editor. */
export function withAbsoluteLinks(readme) {
  return readme.replace(
    MARKDOWN_LINK,
    (_, start, link, end) => start + absoluteLink(link, 'README.md') + end,
  );
}
