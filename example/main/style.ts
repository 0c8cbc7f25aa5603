import { Html } from './html.js';

/** The colors match the pages of authkit-express. Every pair of text and background has a contrast of at least 4.5. */
export const STYLE = new Html(`
:root { color-scheme: light dark; --accent: #5145cd; --link: #5145cd; --page: #f6f5fa; --card: #fff; --ink: #1c1b29; --soft: #5d5b73; --line: #e2e0ec; --tint: #eceafb }
@media (prefers-color-scheme: dark) {
  :root { --link: #aba3ff; --page: #14131c; --card: #1d1c29; --ink: #eeedf7; --soft: #a9a6c0; --line: #363347; --tint: #2a2740 }
}
* { box-sizing: border-box }
body { margin: 0; font: 1rem/1.6 system-ui, sans-serif; background: var(--page); color: var(--ink); overflow-wrap: anywhere }
header { display: flex; flex-wrap: wrap; gap: .75rem 1.25rem; align-items: center; padding: .9rem max(1.25rem, calc(50% - 22rem)); background: var(--card); border-bottom: 1px solid var(--line) }
main { max-width: 46.5rem; margin: 0 auto; padding: 1rem 1.25rem 3rem }
.brand { display: flex; gap: .6rem; align-items: center; margin-right: auto; font-weight: 650; letter-spacing: -.01em; color: var(--ink); text-decoration: none }
.brand img { display: block; width: 2rem; height: 2rem }
nav { display: flex; gap: .25rem }
nav a { padding: .4rem .7rem; border-radius: .5rem; color: var(--soft); text-decoration: none }
nav a:hover { color: var(--ink) }
nav a[aria-current] { background: var(--tint); color: var(--ink) }
h1 { font-size: clamp(1.75rem, 5vw, 2.4rem); line-height: 1.15; letter-spacing: -.025em; margin: 2rem 0 .6rem; text-wrap: balance }
h2 { font-size: 1.05rem; line-height: 1.3; margin: 0 }
p { margin: 0; color: var(--soft) }
.lead { font-size: 1.1rem; max-width: 34rem }
a { color: var(--link) }
.actions { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1.5rem 0 }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 1rem; padding: 1.4rem 1.5rem; margin: 1.75rem 0 }
.card h2 + ul, .card h2 + dl { margin-top: 1rem }
ul { list-style: none; margin: 0; padding: 0 }
.choices li + li { margin-top: 1rem; padding-top: 1rem; border-top: 1px solid var(--line) }
.choices a { font-weight: 600 }
dl { display: grid; grid-template-columns: minmax(8rem, auto) 1fr; gap: .75rem 1.25rem; margin: 0 }
dt { color: var(--soft) }
dd { margin: 0 }
.devices { margin-top: 1.75rem }
.device { display: flex; flex-wrap: wrap; gap: .75rem 1.5rem; align-items: center; margin: 0 0 .75rem }
.device div { flex: 1 1 18rem }
.badge { padding: .2rem .7rem; border-radius: 1rem; background: var(--tint); color: var(--ink); font-size: .875rem }
.button { font: inherit; font-weight: 600; line-height: 1.3; display: inline-block; padding: .6rem 1.1rem; border: 1px solid var(--line); border-radius: .6rem; background: var(--card); color: var(--ink); text-decoration: none; cursor: pointer }
.button:hover { border-color: var(--link) }
.primary { background: var(--accent); border-color: var(--accent); color: #fff }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px }
form { margin: 0 }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap }
@media (max-width: 34rem) {
  header { gap: .6rem }
  nav { order: 1; width: 100%; margin: 0 -.7rem }
  dl { grid-template-columns: 1fr; gap: 0 }
  dd + dt { margin-top: .75rem }
}`);
