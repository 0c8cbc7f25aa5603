import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig, type Plugin } from 'vitepress';
import { REPOSITORY, routeOf, SITE } from '../../scripts/links.mjs';
import { diagrams, links, slugOf } from './markdown';
import { apiSidebar, ROOT, sidebar } from './pages';

/** GitHub Pages serves the site under the name of the repository. */
const base = new URL(SITE).pathname;

const SITE_FOLDER = join(ROOT, 'site');

/** The start page is the index of the documentation, below this. */
const HOME = {
  layout: 'home',
  hero: {
    name: 'authkit-express',
    text: 'WorkOS AuthKit for Express and Connect',
    tagline: 'One line adds sign-in, and a guard protects a route.',
    actions: [
      { theme: 'brand', text: 'Get started', link: '/getting-started' },
      { theme: 'alt', text: 'Overview', link: '/overview' },
      { theme: 'alt', text: 'Troubleshooting', link: '/troubleshooting' },
    ],
  },
};

/** The pages are outside this package, where Vue is installed. */
const vueOfThisPackage: Plugin = {
  name: 'vue-of-this-package',
  enforce: 'pre',
  resolveId(id, importer, options) {
    if (!/^(?:vue|@vue\/server-renderer)(?:\/|$)/.test(id)) return null;
    if (options.ssr) return { id, external: true };
    if (importer?.startsWith(SITE_FOLDER)) return null;
    return this.resolve(id, join(SITE_FOLDER, 'package.json'), { ...options, skipSelf: true });
  },
};

/** The route of a source file, as a file name of the site. */
function rewrite(file: string): string {
  if (file.startsWith('site/api/')) return file.replace('site/', '');
  const route = routeOf(file);
  if (route === undefined) return file;
  return route === '' || route.endsWith('/') ? `${route}index.md` : `${route}.md`;
}

export default defineConfig({
  title: 'authkit-express',
  description: 'WorkOS AuthKit for Express and Connect: sign-in, guards and sessions.',
  lang: 'en',
  base,
  srcDir: '..',
  srcExclude: [
    '{src,test,scripts,coverage,reports}/**',
    '.*/**',
    '.*.md',
    '{example,bench}/*/**',
    'site/!(api)/**',
  ],
  rewrites: rewrite,
  cleanUrls: true,
  sitemap: { hostname: SITE },
  head: [['link', { rel: 'icon', href: `${base}favicon.svg`, type: 'image/svg+xml' }]],
  markdown: {
    // The usual colors have too little contrast.
    theme: { light: 'github-light-high-contrast', dark: 'github-dark-high-contrast' },
    anchor: { slugify: slugOf },
    config(md) {
      md.use(links);
      md.use(diagrams);
    },
  },
  transformPageData({ filePath, frontmatter }) {
    if (filePath === 'docs/README.md') return { frontmatter: { ...frontmatter, ...HOME } };
    if (filePath.startsWith('site/api/')) return { frontmatter: { ...frontmatter, editLink: false } };
    return undefined;
  },
  // The build of mermaid as it is published, because bundling it takes longer than the rest of the site.
  buildEnd({ outDir }) {
    const from = join(SITE_FOLDER, 'node_modules/mermaid/dist');
    for (const file of ['mermaid.esm.min.mjs', 'chunks/mermaid.esm.min'])
      cpSync(join(from, file), join(outDir, 'mermaid', file), {
        recursive: true,
        filter: (source) => !source.endsWith('.map'),
      });
  },
  themeConfig: {
    nav: [
      { text: 'Get started', link: '/getting-started' },
      { text: 'Options', link: '/options' },
      { text: 'Troubleshooting', link: '/troubleshooting' },
      { text: 'API', link: '/api/' },
    ],
    sidebar: [...sidebar(), apiSidebar()],
    outline: [2, 3],
    socialLinks: [{ icon: 'github', link: REPOSITORY }],
    editLink: { pattern: `${REPOSITORY}/edit/main/:path`, text: 'Edit this page' },
    search: {
      provider: 'local',
      options: {
        miniSearch: {
          searchOptions: {
            // Guides come before lists of names and of changes. The function runs in the browser, as it stands here.
            boostDocument: (id: string) =>
              /\/(?:api|changelog|contributing|benchmark)(?:\/|#|$)/.test(id) ? 0.4 : 1,
          },
        },
      },
    },
    footer: { message: 'Released under the MIT License.' },
  },
  vite: {
    publicDir: join(SITE_FOLDER, 'public'),
    server: { fs: { allow: [ROOT] } },
    plugins: [vueOfThisPackage],
    resolve: {
      alias: [{ find: /^.*\/VPHome\.vue$/, replacement: join(SITE_FOLDER, '.vitepress/theme/Home.vue') }],
    },
    build: { chunkSizeWarningLimit: 4000 },
  },
});
