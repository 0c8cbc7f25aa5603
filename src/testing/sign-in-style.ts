/** One sheet, in the page itself: nothing is loaded from elsewhere. Every pair of colours has a contrast of 4.5 or more. */
export const STYLE = `:root{color-scheme:light dark;--page:#f4f3ef;--card:#fff;--ink:#1d1b26;--soft:#5d5a6b;--line:#dfdce6;--accent:#5145cd;--on-accent:#fff;--hover:#f3f1fd;--note:#fdf3d8;--on-note:#5c4300}
@media (prefers-color-scheme:dark){:root{--page:#121117;--card:#1c1a24;--ink:#eeecf6;--soft:#aaa6bb;--line:#373345;--accent:#a69cff;--on-accent:#15121f;--hover:#282437;--note:#3a2f12;--on-note:#f6dfa0}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:2rem 1rem;font:1rem/1.5 system-ui,sans-serif;background:var(--page);color:var(--ink)}
main{width:100%;max-width:27rem}
.card{background:var(--card);border:1px solid var(--line);border-radius:1rem;padding:2rem 1.75rem 1.5rem;box-shadow:0 1px 2px #0000000a,0 12px 32px -12px #0000001f}
h1{font-size:1.5rem;line-height:1.25;letter-spacing:-.015em;margin:0}
h2{font-size:1rem;line-height:1.3;margin:0}
p{margin:.25rem 0 0}
.soft{color:var(--soft);overflow-wrap:anywhere}
.small{font-size:.875rem}
.note{margin:1rem 0 0;padding:.6rem .8rem;border-radius:.5rem;background:var(--note);color:var(--on-note);overflow-wrap:anywhere}
.people{list-style:none;margin:1.5rem 0 0;padding:0}
.people li{display:grid;grid-template-columns:2.5rem 1fr;gap:0 .85rem;padding:1rem 0;border-top:1px solid var(--line)}
.face{width:2.5rem;height:2.5rem;border-radius:50%;display:grid;place-items:center;font-size:.875rem;font-weight:600;color:#fff}
.c0{background:#5145cd}.c1{background:#a8326a}.c2{background:#0b6e63}.c3{background:#9a4a10}.c4{background:#1d5fa8}.c5{background:#6a4a8c}
.ways{display:flex;flex-wrap:wrap;gap:.5rem;margin-top:.6rem}
button,.button{font:inherit;font-size:.9375rem;line-height:1.3;min-height:2.5rem;padding:.5rem .9rem;border:1px solid var(--line);border-radius:.6rem;background:var(--card);color:var(--ink);cursor:pointer;text-align:left;overflow-wrap:anywhere}
button:hover{background:var(--hover);border-color:var(--accent)}
button.main{background:var(--accent);border-color:var(--accent);color:var(--on-accent);font-weight:600;text-align:center}
button.main:hover{filter:brightness(1.08)}
button.quiet{border-color:transparent;background:none;color:var(--soft)}
a{color:var(--accent)}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
label{display:block;margin:1rem 0 .3rem;font-size:.875rem;font-weight:600}
input{width:100%;font:inherit;padding:.6rem .75rem;border:1px solid var(--soft);border-radius:.6rem;background:var(--card);color:var(--ink)}
.wide{width:100%;margin-top:1.5rem}
.end{display:flex;flex-wrap:wrap;align-items:center;justify-content:space-between;gap:.5rem;margin-top:.5rem;padding-top:1rem;border-top:1px solid var(--line)}
.foot{margin:1rem 0 0;text-align:center}
.hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
@media (max-width:24rem){.card{padding:1.5rem 1.1rem 1rem}.ways button{width:100%}}
@media (forced-colors:active){button,.face,.note{border:1px solid ButtonText}}`;
