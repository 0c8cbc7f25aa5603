import type { ActiveSession, Auth, SignedIn } from 'authkit-express';
import { deviceName } from './device.js';
import { type Html, html, join } from './html.js';
import { STYLE } from './style.js';

/** The product's name and color, which the pages of authkit-express also use. */
export const NAME = 'Ledger';
export const COLOR = '#5145cd';

/** Whether sign-in uses the test WorkOS. */
const isTest = process.env['WORKOS_API_HOSTNAME'] === '127.0.0.1';

const PAGES = [
  ['/account', 'Account'],
  ['/billing', 'Billing'],
  ['/devices', 'Devices'],
] as const;

/** @param path The path of this page, if it is in the navigation. */
function page(title: string, body: Html, auth: Auth, path?: string): string {
  const links = PAGES.map(([href, label]) =>
    href === path
      ? html`<a href="${href}" aria-current="page">${label}</a>`
      : html`<a href="${href}">${label}</a>`,
  );
  const menu =
    auth.type === null
      ? html`<a class="button primary" href="/login">Sign in</a>`
      : html`<nav aria-label="Pages">${join(links)}</nav>
          <form method="post" action="/logout?returnTo=/"><button class="button">Sign out</button></form>`;
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title} · ${NAME}</title>
        <link rel="icon" href="/logo.svg" type="image/svg+xml" />
        <style>
          ${STYLE}
        </style>
      </head>
      <body>
        <header>
          <a class="brand" href="/"><img src="/logo.svg" alt="" />${NAME}</a>
          ${menu}
        </header>
        <main>${body}</main>
      </body>
    </html>`.text;
}

/** A link with a sentence that says where it leads. */
const choice = (href: string, label: string, explanation: string) =>
  html`<li>
    <a href="${href}">${label}</a>
    <p>${explanation}</p>
  </li>`;

/** The home page, which differs for signed-in and signed-out users. */
export function home(auth: Auth, organizationId: string): string {
  return page('Home', auth.user === null ? welcome(organizationId) : greeting(auth.user), auth);
}

function welcome(organizationId: string): Html {
  const googleText = isTest
    ? 'Goes straight to one provider: here, to the users of the test WorkOS.'
    : 'Goes straight to Google, without a choice of other providers.';
  return html`<h1>Invoices that your whole team can find</h1>
    <p class="lead">You are signed out. Sign in to see your account, your invoices and your devices.</p>
    <div class="actions">
      <a class="button primary" href="/login">Sign in</a>
      <a class="button" href="/signup">Create an account</a>
    </div>
    <section class="card">
      <h2>More ways to sign in</h2>
      <ul class="choices">
        ${choice('/login/google', 'Continue with Google', googleText)}
        ${choice(
          `/login?organizationId=${organizationId}`,
          'Sign in to your organization',
          'Uses the sign-in that your organization has set up, such as Okta or Entra ID.',
        )}
        ${choice('/billing', 'Open your invoices', 'Asks you to sign in first, and then takes you to them.')}
      </ul>
    </section>`;
}

function greeting({ firstName, email }: NonNullable<Auth['user']>): Html {
  return html`<h1>Hello, ${firstName ?? email}</h1>
    <p class="lead">You are signed in as ${email}.</p>
    <section class="card">
      <ul class="choices">
        ${choice('/account', 'Your account', 'Your name, your organization, and what you may do in it.')}
        ${choice('/billing', 'Billing', 'The invoices of your organization.')}
        ${choice('/devices', 'Devices', 'Where you are signed in, and a button to sign out there.')}
        ${choice('/api/me', 'Your data as JSON', 'What the API of this application says about you.')}
      </ul>
    </section>`;
}

function list(rows: readonly (readonly [string, string])[]): Html {
  const items = rows.map(
    ([name, value]) =>
      html`<dt>${name}</dt>
        <dd>${value}</dd>`,
  );
  return html`<dl>${join(items)}</dl>`;
}

/** The names that users read instead of role slugs. */
const ROLES: Readonly<Record<string, string>> = { admin: 'Administrator', member: 'Member' };

/** The descriptions that users read instead of permission slugs. */
const PERMISSIONS: Readonly<Record<string, string>> = {
  'billing:read': 'see invoices',
  'members:manage': 'manage members',
};

export function account(auth: SignedIn, organization: string | undefined): string {
  const name = [auth.user.firstName, auth.user.lastName].filter(Boolean).join(' ');
  const rows = [
    ['Name', name || 'Not set'],
    ['Email', auth.user.email],
    ['Organization', organization ?? 'None'],
    ['Role', ROLES[auth.role ?? ''] ?? auth.role ?? 'None'],
    [
      'You may',
      auth.permissions.map((slug) => PERMISSIONS[slug] ?? slug).join(', ') || 'use the application',
    ],
  ] as const;
  const body = html`<h1>Your account</h1>
    <p class="lead">Only you can see this page.</p>
    <section class="card">${list(rows)}</section>`;
  return page('Account', body, auth, '/account');
}

const INVOICES = [
  ['October 2026', '€ 49.00'],
  ['September 2026', '€ 49.00'],
  ['August 2026', '€ 42.00'],
] as const;

export function billing(auth: SignedIn, organization = 'Your organization'): string {
  const body = html`<h1>Billing</h1>
    <p class="lead">Members of ${organization} who may see billing can open this page.</p>
    <section class="card">
      <h2>Invoices</h2>
      ${list(INVOICES)}
    </section>`;
  return page('Billing', body, auth, '/billing');
}

const TIME = new Intl.DateTimeFormat('en-GB', { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' });

/** The user's sessions, with a button to end each one except the current one. */
export function devices(
  auth: SignedIn,
  sessions: readonly ActiveSession[],
  organizations: ReadonlyMap<string, string>,
): string {
  const items = sessions.map(({ id, isCurrent, userAgent, ipAddress, createdAt, organizationId = '' }) => {
    const details = [
      `${TIME.format(new Date(createdAt))} UTC`,
      organizations.get(organizationId),
      ipAddress ?? undefined,
    ];
    const name = deviceName(userAgent);
    const end = html`<form method="post" action="/devices/end">
      <input type="hidden" name="id" value="${id}" />
      <button class="button">End this session<span class="hidden">: ${name}</span></button>
    </form>`;
    return html`<li class="card device">
      <div>
        <h2>${name}</h2>
        <p>${details.filter(Boolean).join(' · ')}</p>
      </div>
      ${isCurrent ? html`<p class="badge">This device</p>` : end}
    </li>`;
  });
  const body = html`<h1>Your devices</h1>
    <p class="lead">These are the devices and browsers where you are signed in.</p>
    <ul class="devices">
      ${join(items)}
    </ul>`;
  return page('Devices', body, auth, '/devices');
}

export function notFound(auth: Auth): string {
  const body = html`<h1>This page does not exist</h1>
    <p class="lead">The address may be misspelt, or the page has moved.</p>
    <div class="actions"><a class="button primary" href="/">Go to the home page</a></div>`;
  return page('Not found', body, auth);
}
