// Where the pages of this repository are found: in the repository, and on the documentation site. The site, the README in
// the tarball and the tests take the addresses from here.
import { readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const { homepage, repository } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** Address of the site, with a slash at the end. */
export const SITE = homepage;
/** Address of the repository, without one. */
export const REPOSITORY = repository.url.replace(/^git\+/, '').replace(/\.git$/, '');

/** Pages outside `docs/` that are part of the site, and their routes. */
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
 * The absolute address of a link: a page of the site, or else a file on GitHub.
 *
 * @param {string} link As it is written on the page: `../SECURITY.md#cookies`.
 * @param {string} page The page with the link, relative to the root of the repository.
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

/** A README whose links work on the page of the package at npm and in an editor. */
export function withAbsoluteLinks(readme) {
  return readme.replace(
    MARKDOWN_LINK,
    (_, start, link, end) => start + absoluteLink(link, 'README.md') + end,
  );
}
