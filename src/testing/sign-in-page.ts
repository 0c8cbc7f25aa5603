import { createHash } from 'node:crypto';
import type { AuthorizationRequest } from './authorization-request.js';
import type { Directory, Membership, Person } from './directory.js';
import { text, type Reply } from './reply.js';
import { STYLE } from './sign-in-style.js';

/** Without `form-action`: a form's answer is a redirect to the application, which that would have to name. */
const POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** The people of the directory, and the organizations that each of them may enter. */
export function signInPage(request: AuthorizationRequest, directory: Directory): Reply {
  const organization =
    request.organizationId === undefined
      ? undefined
      : (directory.findOrganization(request.organizationId)?.name ?? request.organizationId);
  const people = candidates(request, directory);
  const hinted = request.loginHint === undefined ? undefined : directory.find(request.loginHint);
  const notes = [
    request.loginHint !== undefined && !hinted ? `Nobody here has the address ${request.loginHint}.` : '',
    people.length === 0 ? `Nobody here can enter ${organization ?? 'this application'}.` : '',
  ];
  const rows = people.map((person) => row(person, request, person.user.id === hinted?.user.id));
  return page(200, 'Sign in', request, [
    organization === undefined ? '' : `<p class="soft">as a member of ${escape(organization)}</p>`,
    ...notes.filter(Boolean).map(note),
    `<ul class="people">${rows.join('')}</ul>`,
    end(request, 'sign-up', 'Create a person'),
  ]);
}

/** A form for somebody new. */
export function signUpPage(
  request: AuthorizationRequest,
  { problem, fields = {} }: { problem?: string; fields?: Readonly<Record<string, unknown>> } = {},
): Reply {
  const email = text(fields['email']) ?? request.loginHint;
  return page(problem === undefined ? 200 : 400, 'Create a person', request, [
    problem === undefined ? '' : note(problem),
    form(request, [
      field('email', 'E-mail address', 'type="email" autocomplete="email" required autofocus', email),
      field('first_name', 'First name', 'autocomplete="given-name"', text(fields['first_name'])),
      field('last_name', 'Last name', 'autocomplete="family-name"', text(fields['last_name'])),
      '<button class="main wide">Create and sign in</button>',
    ]),
    end(request, 'sign-in', 'Sign in as somebody who is here'),
  ]);
}

/** What cannot be told to the application, since its address is not trusted. */
export function errorPage(description: string): Reply {
  return page(400, 'This sign-in cannot start', undefined, [note(description)]);
}

/** The hinted person first; with an organization, its members only. */
function candidates({ organizationId, loginHint }: AuthorizationRequest, directory: Directory): Person[] {
  const hinted = loginHint === undefined ? undefined : directory.find(loginHint)?.user.id;
  return directory
    .people()
    .filter(
      (person) =>
        organizationId === undefined ||
        person.memberships.some((one) => one.organizationId === organizationId),
    )
    .sort((a, b) => Number(b.user.id === hinted) - Number(a.user.id === hinted));
}

function row({ user, memberships }: Person, request: AuthorizationRequest, isHinted: boolean): string {
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

/** The part that is not seen says to a screen reader whose button it is. */
function button(name: string, way: Membership | undefined, hasChoice: boolean, isFocused: boolean): string {
  const label = way?.organization.name ?? (hasChoice ? 'No organization' : 'Continue');
  const role = way ? ` <span class="soft small">${escape(way.role ?? 'member')}</span>` : '';
  return `<button name="organization_id" value="${escape(way?.organizationId ?? '')}"${isFocused ? ' autofocus' : ''}><span class="hidden">${escape(name)}: </span>${escape(label)}${role}</button>`;
}

function end(request: AuthorizationRequest, screen: 'sign-in' | 'sign-up', label: string): string {
  const query = new URLSearchParams(request.query);
  query.set('screen_hint', screen);
  const deny = '<button class="quiet" name="decision" value="deny">Deny</button>';
  return `<div class="end"><a class="small" href="${request.endpoint}?${escape(query.toString())}">${label}</a>${form(request, [deny])}</div>`;
}

/** The request travels in the form, so the server has nothing to remember. */
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
): Reply {
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
<p class="foot soft small">A WorkOS for tests: nobody here is real, and nobody has a password.</p>
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
