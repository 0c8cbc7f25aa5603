import type { ActiveSession, Auth, SignedIn } from 'authkit-express';

/** HTML that is safe to send: `html` escapes every value that is not an `Html` itself. */
class Html {
  constructor(readonly text: string) {}
}

function html(strings: TemplateStringsArray, ...values: readonly (string | Html)[]): Html {
  const escaped = values.map((value) =>
    value instanceof Html ? value.text : value.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`),
  );
  return new Html(String.raw({ raw: strings }, ...escaped));
}

const STYLE = `
:root { color-scheme: light dark; --accent: #4f46e5; --ink: #1c1b29; --soft: #5d5b73; --paper: #fbfaff; --card: #fff; --line: #e4e1f2 }
:root[data-theme=warm] { --accent: #b4490a; --paper: #fffaf4; --line: #f0e2d3 }
@media (prefers-color-scheme: dark) {
  :root { --accent: #a5a0ff; --ink: #eeedf7; --soft: #a9a6c0; --paper: #14131c; --card: #1d1c29; --line: #322f47 }
  :root[data-theme=warm] { --accent: #ffb27d; --paper: #1a1510; --card: #241d16; --line: #43362a }
}
* { box-sizing: border-box }
body { margin: 0; font: 1rem/1.6 system-ui, sans-serif; background: var(--paper); color: var(--ink) }
header, main { max-width: 44rem; margin: 0 auto; padding: 1.25rem }
header { display: flex; flex-wrap: wrap; gap: .5rem 1.25rem; align-items: center }
header strong { margin-right: auto; letter-spacing: -.01em }
h1 { font-size: clamp(1.6rem, 5vw, 2.3rem); line-height: 1.15; letter-spacing: -.02em; margin: 1.5rem 0 .75rem }
p { color: var(--soft); max-width: 36rem }
a { color: var(--accent) }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .9rem; padding: 1.25rem 1.5rem; margin: 1.5rem 0 }
dl { display: grid; grid-template-columns: minmax(7rem, auto) 1fr; gap: .35rem 1rem; margin: 0; overflow-wrap: anywhere }
dt { color: var(--soft) } dd { margin: 0 }
.actions { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1.5rem 0 }
.button { font: inherit; display: inline-block; padding: .55rem 1.1rem; border: 1px solid var(--accent); border-radius: .6rem; background: none; color: var(--accent); text-decoration: none; cursor: pointer }
.primary { background: var(--accent); color: var(--card) }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
form { margin: 0 }
@media (max-width: 30rem) {
  header strong { width: 100% }
  dl { grid-template-columns: 1fr; gap: 0 } dd { margin-bottom: .75rem }
}`;

function page(title: string, body: Html, auth: Auth, theme = 'cool'): string {
  const links = auth.type === null ? html`<a href="/login">Sign in</a>` : html`${nav()}${signOut()}`;
  return html`<!doctype html>
    <html lang="en" data-theme="${theme === 'warm' ? 'warm' : 'cool'}">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title} · Example app</title>
        <style>
          ${new Html(STYLE)}
        </style>
      </head>
      <body>
        <header><strong>Example app</strong><a href="/">Home</a>${links}</header>
        <main>${body}</main>
      </body>
    </html>`.text;
}

const nav = () =>
  html`<a href="/account">Account</a><a href="/billing">Billing</a><a href="/devices">Devices</a>`;

const signOut = () =>
  html`<form method="post" action="/logout?returnTo=/"><button class="button">Sign out</button></form>`;

const themeButton = () =>
  html`<form method="post" action="/theme"><button class="button">Change colours</button></form>`;

/** The home page, which differs for signed-in and signed-out users. */
export function home(auth: Auth, theme: string | undefined, organization: string): string {
  const body =
    auth.user === null
      ? html`<h1>Welcome</h1>
          <p>You are signed out. Sign in to see your account, your billing and your devices.</p>
          <div class="actions">
            <a class="button primary" href="/login">Sign in</a>
            <a class="button" href="/login/google">Continue with Google</a>
            <a class="button" href="/login?organizationId=${organization}">Sign in to your organization</a>
            <a class="button" href="/signup">Create an account</a>
            <a class="button" href="/account">Your account</a>${themeButton()}
          </div>`
      : html`<h1>Hello, ${auth.user.firstName ?? auth.user.email}</h1>
          <p>You are signed in as ${auth.user.email}.</p>
          <div class="actions">
            <a class="button primary" href="/account">Your account</a>
            <a class="button" href="/billing">Billing</a>
            <a class="button" href="/api/me">Your account as JSON</a>${themeButton()}
          </div>`;
  return page('Home', body, auth, theme);
}

export function account(auth: SignedIn): string {
  const rows: [string, string][] = [
    ['Name', [auth.user.firstName, auth.user.lastName].filter(Boolean).join(' ') || '—'],
    ['E-mail', auth.user.email],
    ['Organization', auth.organizationId ?? 'none'],
    ['Role', auth.role ?? 'none'],
    ['Permissions', auth.permissions.join(', ') || 'none'],
  ];
  const list = new Html(
    rows
      .map(
        ([name, value]) =>
          html`<dt>${name}</dt>
            <dd>${value}</dd>`.text,
      )
      .join(''),
  );
  const body = html`<h1>Your account</h1>
    <p>Only you can see this page.</p>
    <div class="card"><dl>${list}</dl></div>`;
  return page('Account', body, auth);
}

/** The sessions of the user, with a button to end each one except the current one. */
export function devices(auth: SignedIn, sessions: readonly ActiveSession[]): string {
  const rows = sessions.map(({ id, isCurrent, userAgent, createdAt }) => {
    const end = html`<form method="post" action="/devices/end">
      <input type="hidden" name="id" value="${id}" /><button class="button">End this session</button>
    </form>`;
    return html`<div class="card">
      <p>${userAgent ?? 'Unknown device'}, signed in ${new Date(createdAt).toUTCString()}</p>
      ${isCurrent ? html`<p>This is the one you are using.</p>` : end}
    </div>`.text;
  });
  const body = html`<h1>Your devices</h1>
    <p>These are the devices and browsers where you are signed in.</p>
    ${new Html(rows.join(''))}`;
  return page('Devices', body, auth);
}

export function billing(auth: SignedIn): string {
  const body = html`<h1>Billing</h1>
    <p>Only members of your organization with access to billing can see this page.</p>
    <div class="card">
      <dl>
        <dt>Organization</dt>
        <dd>${auth.organizationId ?? ''}</dd>
        <dt>Balance</dt>
        <dd>0.00</dd>
      </dl>
    </div>`;
  return page('Billing', body, auth);
}
