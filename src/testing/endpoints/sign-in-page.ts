import { createHash } from 'node:crypto';
import type { Directory, DirectoryUser, Membership } from '../state/users-and-organizations.js';
import type { AuthorizationRequest } from './validate-authorization-request.js';
import { text, type Fields, type TestResponse } from './request-and-response.js';

/**
 * The style sheet of the pages. It is inline, so a page does not need to load a second file. All text has a contrast
 * ratio of at least 4.5:1 against its background.
 */
const STYLE = `:root{color-scheme:light dark;--page:#f6f5fa;--card:#fff;--ink:#1d1b26;--soft:#5d5a6b;--line:#dfdce6;--accent:#5145cd;--on-accent:#fff;--hover:#f3f1fd;--note:#fdf3d8;--on-note:#5c4300}
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

/**
 * The Content Security Policy of the pages. It has no `form-action` directive, because submitting a form redirects to
 * the application, and the directive would have to list the application's origin.
 */
const POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** Creates the sign-in page. It lists the users and, for each user, the organizations that the user can sign in to. */
export function signInPage(request: AuthorizationRequest, directory: Directory): TestResponse {
  const organization =
    request.organizationId === undefined
      ? undefined
      : (directory.findOrganization(request.organizationId)?.name ?? request.organizationId);
  const users = candidates(request, directory);
  const hinted = request.loginHint === undefined ? undefined : directory.findUser(request.loginHint);
  const notes = [
    request.loginHint !== undefined && !hinted ? `No user has the address ${request.loginHint}.` : '',
    users.length === 0 ? `No user can sign in to ${organization ?? 'this application'}.` : '',
  ];
  const rows = users.map((user) => row(user, request, user.user.id === hinted?.user.id));
  return page(200, 'Sign in', request, [
    organization === undefined ? '' : `<p class="soft">as a member of ${escape(organization)}</p>`,
    ...notes.filter(Boolean).map(note),
    `<ul class="people">${rows.join('')}</ul>`,
    footer(request, 'sign-up', 'Create a user'),
  ]);
}

/**
 * Creates the sign-up page, whose form creates a user. After a form that was not valid, the page shows the problem and
 * the submitted fields, and its status is 400.
 */
export function signUpPage(
  request: AuthorizationRequest,
  { problem, fields = {} }: { problem?: string; fields?: Fields } = {},
): TestResponse {
  const email = text(fields['email']) ?? request.loginHint;
  return page(problem === undefined ? 200 : 400, 'Create a user', request, [
    problem === undefined ? '' : note(problem),
    form(request, [
      field('email', 'Email address', 'type="email" autocomplete="email" required autofocus', email),
      field('first_name', 'First name', 'autocomplete="given-name"', text(fields['first_name'])),
      field('last_name', 'Last name', 'autocomplete="family-name"', text(fields['last_name'])),
      '<button class="main wide">Create and sign in</button>',
    ]),
    footer(request, 'sign-in', 'Sign in as an existing user'),
  ]);
}

/** Creates the page for an error that is shown to the user instead of being sent to the application. */
export function errorPage(description: string): TestResponse {
  return page(400, 'This sign-in cannot start', undefined, [note(description)]);
}

/**
 * Returns the users to choose from. The user in the login hint comes first. If an organization is requested, only
 * members of that organization are included.
 */
function candidates(
  { organizationId, loginHint }: AuthorizationRequest,
  directory: Directory,
): DirectoryUser[] {
  const hinted = loginHint === undefined ? undefined : directory.findUser(loginHint)?.user.id;
  return directory
    .users()
    .filter(
      (user) =>
        organizationId === undefined || user.memberships.some((one) => one.organizationId === organizationId),
    )
    .sort((a, b) => Number(b.user.id === hinted) - Number(a.user.id === hinted));
}

function row({ user, memberships }: DirectoryUser, request: AuthorizationRequest, isHinted: boolean): string {
  const name = user.name ?? user.email;
  const ways: (Membership | undefined)[] =
    request.organizationId === undefined
      ? [...memberships, undefined]
      : memberships.filter((membership) => membership.organizationId === request.organizationId);
  const buttons = ways.map((way, index) =>
    button(name, way, memberships.length > 0, isHinted && index === 0),
  );
  const colour = Buffer.from(user.id).reduce((sum, byte) => sum + byte, 0) % 6;
  return `<li><div class="face c${colour}" aria-hidden="true">${escape(initials(name))}</div>
<div><h2>${escape(name)}</h2><p class="soft small">${escape(user.email)}</p>
${form(request, [hiddenField('user', user.id), `<div class="ways">${buttons.join('')}</div>`])}</div></li>`;
}

/** Creates a button that signs a user in. It contains the user's name as visually hidden text for screen readers. */
function button(name: string, way: Membership | undefined, hasChoice: boolean, isFocused: boolean): string {
  const label = way?.organization.name ?? (hasChoice ? 'No organization' : 'Continue');
  const role = way ? ` <span class="soft small">${escape(way.role ?? 'member')}</span>` : '';
  return `<button name="organization_id" value="${escape(way?.organizationId ?? '')}"${isFocused ? ' autofocus' : ''}><span class="hidden">${escape(name)}: </span>${escape(label)}${role}</button>`;
}

function footer(request: AuthorizationRequest, screen: 'sign-in' | 'sign-up', label: string): string {
  const query = new URLSearchParams(request.query);
  query.set('screen_hint', screen);
  const deny = '<button class="quiet" name="decision" value="deny">Deny</button>';
  return `<div class="end"><a class="small" href="${request.endpoint}?${escape(query.toString())}">${label}</a>${form(request, [deny])}</div>`;
}

/** Creates a form. It contains the authorization request, so the server does not have to store the request. */
function form({ query, endpoint }: AuthorizationRequest, content: string[]): string {
  return `<form method="post" action="${endpoint}/choose">${hiddenField('request', query)}${content.join('\n')}</form>`;
}

function hiddenField(name: string, value: string): string {
  return `<input type="hidden" name="${name}" value="${escape(value)}">`;
}

function field(name: string, label: string, attributes: string, value = ''): string {
  return `<label for="${name}">${label}</label><input id="${name}" name="${name}" ${attributes} value="${escape(value)}">`;
}

function note(sentence: string): string {
  return `<p class="note" role="status">${escape(sentence)}</p>`;
}

function initials(name: string): string {
  const [first = '', ...rest] = name.split(/[\s@]+/);
  return (first.charAt(0) + (rest.at(-1)?.charAt(0) ?? '')).toUpperCase();
}

function page(
  status: number,
  title: string,
  request: AuthorizationRequest | undefined,
  content: string[],
): TestResponse {
  const to = request ? `<p class="soft">to continue to ${escape(new URL(request.redirectUri).host)}</p>` : '';
  const body = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)} – Test WorkOS</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<div class="card">
<h1>${escape(title)}</h1>
${[to, ...content].filter(Boolean).join('\n')}
</div>
<p class="foot soft small">A WorkOS for tests. The users are made up, and no password is asked for.</p>
</main>
</body>
</html>
`;
  const headers = {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': POLICY,
    'cache-control': 'no-store',
  };
  return { status, headers, body };
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}
